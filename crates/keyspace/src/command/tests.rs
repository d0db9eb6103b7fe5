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
            !matches!(command.run, Run::Write(_)),
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

fn listed(name: &str) -> &'static catalogue::Listing {
    catalogue::find(name).unwrap_or_else(|| panic!("{name} is listed"))
}

#[test]
fn descriptions_are_well_formed_replies() {
    let mut out = Vec::new();
    let listings = [Some(listed("get")), None].into_iter();
    reply_info(listings, &|_| true, &mut Writer::new(&mut out, Version::Two));
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.starts_with("*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"),
        "{text}"
    );
    assert!(text.ends_with("*0\r\n*-1\r\n"), "{text}");
}

#[test]
fn options_that_store_name_a_key() {
    for (line, expected) in [
        ("SORT k", vec![1]),
        ("SORT k DESC store d", vec![1, 4]),
        ("SORT k STORE d STORE e", vec![1, 5]),
        ("SORT k BY STORE x", vec![1]),
        ("SORT k STORE BY STORE d", vec![1, 5]),
        ("SORT k LIMIT STORE STORE GET STORE", vec![1]),
        ("SORT_RO k STORE d", vec![1]),
        ("GEORADIUS k 1 2 3 km", vec![1]),
        ("GEORADIUS k STORE 2 3 km ASC STOREDIST d", vec![1, 8]),
        ("GEORADIUSBYMEMBER k m 3 km STORE d STORE", vec![1, 6]),
        ("GEOSEARCHSTORE d s FROMMEMBER m", vec![1, 2]),
    ] {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        assert_eq!(
            key_positions(spec(&line.split(' ').next().unwrap().to_lowercase()), &args),
            expected,
            "{line}"
        );
    }
}

#[test]
fn streams_are_keys_before_their_ids() {
    for (line, expected) in [
        ("XREAD STREAMS a b 0 $", vec![2, 3]),
        ("XREAD COUNT streams STREAMS streams 0", vec![4]),
        ("XREAD count 1 block 0 streams a 0", vec![6]),
        ("XREADGROUP GROUP STREAMS STREAMS NOACK STREAMS k >", vec![6]),
        ("XREAD STREAMS a b 0", vec![]),
        ("XREAD STREAMS", vec![]),
        ("XREAD x STREAMS a 0", vec![]),
        ("XREAD COUNT", vec![]),
        ("XGROUP CREATE k g $", vec![2]),
        ("XINFO STREAM k", vec![2]),
    ] {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        assert_eq!(key_positions(lookup(args[0]).unwrap(), &args), expected, "{line}");
    }
}

#[test]
fn specifications_of_keys_are_well_formed() {
    for listing in catalogue::all() {
        let name = listing.name;
        let mut out = Vec::new();
        reply_info([Some(*listing)].into_iter(), &|_| true, &mut Writer::new(&mut out, Version::Three));
        let text = String::from_utf8(out).unwrap();
        // Each line that is not the bytes of a string begins an element, which some header has announced.
        let mut left: usize = 1;
        let mut lines = text.split("\r\n");
        while left > 0 {
            let line = lines.next().unwrap_or_else(|| panic!("{name} ends too early"));
            let number = || line[1..].parse::<usize>().unwrap();
            left = left - 1
                + match line.as_bytes()[0] {
                    b'*' | b'~' => number(),
                    b'%' => 2 * number(),
                    _ => 0,
                };
            if line.starts_with('$') {
                lines.next();
            }
        }
        assert_eq!(lines.next(), Some(""), "{name} goes on");
    }
}
