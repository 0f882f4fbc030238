//! The values of keys of roles that run a test target.

use crate::manifest::error::{DescriptionError, Problem};
use crate::manifest::node::Node;
use crate::manifest::values::package_name;
use crate::model::name::ExecutableName;
use crate::model::test_target::{TargetName, TestTarget};

/// The keys of a table that names a target.
const TABLE: &[&str] = &["test", "bin", "lib", "package"];

const FLAG: &str = "`true` or `false`";
const EXPECTED: &str = "the name of a test target, or a table with `test`, `bin` or `lib = true`";

/// Reads a test target: a name, or a table.
pub(crate) fn target(node: &Node<'_>) -> Result<TestTarget, DescriptionError> {
    if !node.is_table() {
        return Ok(TestTarget {
            target: TargetName::Test(name(node, EXPECTED)?),
            package: None,
        });
    }
    let mut tested = Vec::new();
    let mut package = None;
    for field in node.entries(EXPECTED)? {
        match field.name {
            "test" => tested.push(TargetName::Test(name(&field, "the name of a test target")?)),
            "bin" => tested.push(TargetName::Bin(name(&field, "the name of a binary")?)),
            "lib" => tested.extend(field.flag(FLAG)?.then_some(TargetName::Lib)),
            "package" => package = Some(package_name(&field)?),
            _ => return Err(field.unknown_key(TABLE)),
        }
    }
    match <[TargetName; 1]>::try_from(tested) {
        Ok([target]) => Ok(TestTarget { target, package }),
        Err(_) => {
            let problem = "expected exactly one of `test`, `bin` and `lib = true`";
            Err(node.value_error(&Problem::Reason(problem.to_owned())))
        }
    }
}

fn name(node: &Node<'_>, expected: &'static str) -> Result<ExecutableName, DescriptionError> {
    let name = node.string(expected)?.parse();
    name.map_err(|error| node.value_error(&Problem::Name(error)))
}

/// Reads the filters of tests.
pub(crate) fn filter(node: &Node<'_>) -> Result<Vec<String>, DescriptionError> {
    const FILTER: &str = "a part of the names of tests";
    let elements = node.elements("an array of parts of the names of tests")?;
    let filters = elements.iter().map(|element| {
        let text = element.string(FILTER)?;
        if text.is_empty() || text.starts_with('-') {
            return Err(element.wrong_value(text, FILTER));
        }
        Ok(text.to_owned())
    });
    filters.collect()
}
