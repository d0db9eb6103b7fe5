//! The page of parameters in the documentation, which is made of the table.

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use crate::parameters::table::{ALIASES, PARAMETERS, Standing};

    const PAGE: &str = include_str!("../../../../docs/parameters.md");
    /// What stands above the table, by hand, ends with this line.
    const MARK: &str =
        "<!-- made from the table of parameters: UPDATE_PAGES=1 cargo test -p onecopy-node page -->\n";

    fn page() -> String {
        let (above, _) = PAGE.split_once(MARK).expect("the page has its mark");
        let mut page = format!(
            "{above}{MARK}\n| parameter | default | set here | why, or where it is obeyed |\n| --- | --- | --- | --- |\n"
        );
        for parameter in PARAMETERS {
            let aliases = ALIASES.iter().filter(|(_, present)| *present == parameter.name);
            let older: String = aliases.map(|(alias, _)| format!(", `{alias}`")).collect();
            let standing = match parameter.standing {
                Standing::Applies => "applies",
                Standing::Ignored => "no effect",
                Standing::Fixed => "no, as in Redis",
                Standing::Refused => "refused",
            };
            let default = match parameter.default {
                "" => String::new(),
                default => format!("`{default}`"),
            };
            writeln!(page, "| `{}`{older} | {default} | {standing} | {} |", parameter.name, parameter.note)
                .expect("a string takes everything");
        }
        page
    }

    #[test]
    fn the_page_of_parameters_is_current() {
        let page = page();
        if std::env::var_os("UPDATE_PAGES").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/parameters.md");
            std::fs::write(path, &page).expect("the page can be written");
        } else {
            assert_eq!(
                PAGE, page,
                "docs/parameters.md is old: UPDATE_PAGES=1 cargo test -p onecopy-node page"
            );
        }
    }
}
