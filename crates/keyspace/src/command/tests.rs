use onecopy_resp::Version;

use super::*;

fn spec(name: &str) -> &'static Spec {
    lookup(name.as_bytes()).unwrap_or_else(|| panic!("{name} is in the table"))
}

#[test]
fn every_command_is_found_in_letters_of_any_case() {
    for each in all() {
        assert_eq!(spec(each.name).name, each.name);
        assert_eq!(spec(&each.name.to_uppercase()).name, each.name);
    }
    for name in ["", "ge", "gett", "PING", "a name that is longer than any command's"] {
        assert!(lookup(name.as_bytes()).is_none(), "{name}");
    }
    assert!(all().is_sorted_by(|a, b| a.name < b.name));
}

#[test]
fn a_function_that_only_reads_belongs_to_a_read() {
    for command in table::TABLE {
        assert_eq!(
            matches!(command.run, Run::Read(_)),
            command.spec.kind == Kind::Read,
            "{}",
            command.spec.name
        );
    }
}

#[test]
fn arity_errors_read_as_those_of_redis() {
    assert_eq!(spec("get").check_arity(2), Ok(()));
    assert_eq!(spec("del").check_arity(5), Ok(()));
    let error = spec("get").check_arity(1).unwrap_err();
    assert_eq!(error.to_string(), "ERR wrong number of arguments for 'get' command");
}

#[test]
fn unknown_commands_are_named() {
    let error = unknown_command(&[b"foo", b"a", b"b"]);
    assert_eq!(error, "ERR unknown command 'foo', with args beginning with: 'a' 'b' ");
}

#[test]
fn keys_are_found_among_the_arguments() {
    for (line, expected) in
        [("GET k", vec![1]), ("MSET a 1 b 2", vec![1, 3]), ("DEL a b c", vec![1, 2, 3]), ("DBSIZE", vec![])]
    {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        assert_eq!(key_positions(lookup(args[0]).unwrap(), &args), expected, "{line}");
    }
}

#[test]
fn descriptions_are_well_formed_replies() {
    let mut out = Vec::new();
    reply_info([Some(spec("get")), None].into_iter(), &mut Writer::new(&mut out, Version::Two));
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"),
        "{text}"
    );
    assert!(text.ends_with("*0\r\n*-1\r\n"), "{text}");
}
