//! Feature gates: which exist and which the command line switches.

use std::collections::HashSet;

/// Enabled gates by name.
pub type Enabled = HashSet<String>;

/// A gate that some component looks at.
struct Gate {
    id: &'static str,
    default: bool,
}

const GATES: &[Gate] = &[
    // Default of awsemf's dimension_rollup_option becomes NoDimensionRollup.
    Gate { id: "awsemf.nodimrollupdefault", default: false },
];

/// Reads `--feature-gates a,-b,+c` values; later ones win.
///
/// # Errors
/// Names a gate that does not exist and lists those that do.
pub fn parse(values: &[String]) -> Result<Enabled, String> {
    let mut enabled: Enabled = GATES.iter().filter(|g| g.default).map(|g| g.id.to_owned()).collect();
    for value in values.iter().flat_map(|v| v.split(',')).map(str::trim).filter(|v| !v.is_empty()) {
        let (on, id) = match value.strip_prefix('-') {
            Some(id) => (false, id),
            None => (true, value.strip_prefix('+').unwrap_or(value)),
        };
        if !GATES.iter().any(|g| g.id == id) {
            let valid: Vec<_> = GATES.iter().map(|g| g.id).collect();
            return Err(format!("no such feature gate {id:?}. valid gates: [{}]", valid.join(" ")));
        }
        if on {
            enabled.insert(id.to_owned());
        } else {
            enabled.remove(id);
        }
    }
    Ok(enabled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_switch_on_and_off_and_unknown_ones_are_refused() {
        let on = |v: &str| parse(&[v.to_owned()]);
        assert!(on("awsemf.nodimrollupdefault").unwrap().contains("awsemf.nodimrollupdefault"));
        assert!(on("+awsemf.nodimrollupdefault,-awsemf.nodimrollupdefault").unwrap().is_empty());
        assert_eq!(
            on("bogus").unwrap_err(),
            "no such feature gate \"bogus\". valid gates: [awsemf.nodimrollupdefault]"
        );
    }
}
