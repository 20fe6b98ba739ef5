//! Any text as a Go regular expression: it compiles or is a clean error, and the ways to match agree.

use config::pattern::{GoRegex, GoRegexSet};

/// Runs one input; panics when something does not hold.
pub fn run(data: &[u8]) {
    let Ok(input) = std::str::from_utf8(data) else { return };
    let (pattern, text) = input.split_once('\n').unwrap_or((input, "Some_text 1.2\n"));
    for result in [GoRegex::new(pattern), GoRegex::anchored_prometheus(pattern)] {
        let regex = match result {
            Ok(regex) => regex,
            Err(error) => {
                assert!(error.position() <= pattern.len() && pattern.is_char_boundary(error.position()));
                assert!(error.to_string().starts_with("error parsing regexp: "));
                continue;
            }
        };
        assert_eq!(regex.as_str(), pattern);
        let mut captures = regex.captures();
        let found = regex.captures_into(text, &mut captures);
        assert_eq!(found, regex.is_match(text));
        if found {
            let whole = regex.group(&captures, 0).expect("a match has a place");
            let mut out = String::new();
            regex.template("$0").expand(&captures, text, &mut out);
            assert_eq!(out, text[whole]);
            regex.template(text).expand(&captures, text, &mut out);
        }
        if let Ok(set) = GoRegexSet::new([&regex]) {
            let mut matches = set.matches();
            set.matches_into(text, &mut matches);
            assert_eq!(matches.contains(0), found);
        }
    }
}
