//! What several commands do: a command imports steps, never another command.

pub(crate) mod delivery;
pub(crate) mod job;
pub(crate) mod query;
pub(crate) mod truth;

#[cfg(test)]
mod tests {
    #[test]
    fn no_command_imports_another_command() {
        let commands = concat!(env!("CARGO_MANIFEST_DIR"), "/src/commands");
        for file in std::fs::read_dir(commands).unwrap() {
            let path = file.unwrap().path();
            if path.ends_with("mod.rs") {
                continue; // it calls them all
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let imports = |line: &&str| line.contains("super::") || line.contains("commands::");
            let of_tests = |line: &&str| line.trim() == "use super::*;";
            let found = text.lines().find(|line| imports(line) && !of_tests(line));
            assert_eq!(found, None, "{}", path.display());
        }
    }
}
