//! The outcome of a test as build servers read it: the XML of JUnit. A case for each collection, one for the events that
//! fail, one for the log.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::report::{Report, render_document, render_failure, render_line};

/// A part of the test that can fail by itself.
struct Case {
    name: String,
    /// What differs, an entry each.
    differences: Vec<String>,
}

/// The file for a test that was run.
pub(super) fn render(report: &Report) -> String {
    let cases = cases(report);
    let failed = cases.iter().filter(|case| !case.differences.is_empty()).count();
    let (suite, seconds) = (escaped(report.name()), report.took().as_secs_f64());
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let count = cases.len();
    let _ = writeln!(
        xml,
        "<testsuites tests=\"{count}\" failures=\"{failed}\" errors=\"0\" time=\"{seconds:.6}\">\n  \
         <testsuite name=\"{suite}\" tests=\"{count}\" failures=\"{failed}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.6}\">"
    );
    for (index, case) in cases.iter().enumerate() {
        let seconds = if index == 0 { seconds } else { 0.0 };
        let name = escaped(&case.name);
        let _ = write!(xml, "    <testcase classname=\"{suite}\" name=\"{name}\" time=\"{seconds:.6}\"");
        if case.differences.is_empty() {
            xml.push_str("/>\n");
            continue;
        }
        let first = case.differences[0].lines().next().unwrap_or_default();
        let _ = writeln!(
            xml,
            ">\n      <failure type=\"difference\" message=\"{}\">{}</failure>\n    </testcase>",
            escaped(first),
            escaped(&case.differences.join("\n"))
        );
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// The file for a test that could not be run.
pub(super) fn render_error(message: &str) -> String {
    let message = escaped(message);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites tests=\"1\" failures=\"0\" errors=\"1\" time=\"0\">\n  \
         <testsuite name=\"kennel test\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\" time=\"0\">\n    \
         <testcase classname=\"kennel test\" name=\"events\" time=\"0\">\n      \
         <error type=\"input\" message=\"{message}\">{message}</error>\n    </testcase>\n  </testsuite>\n</testsuites>\n"
    )
}

fn cases(report: &Report) -> Vec<Case> {
    let mut cases = Vec::new();
    let found = report.found();
    let failures = match report.compared() {
        Some((differences, _)) => differences.failures.iter().map(render_failure).collect(),
        None if report.has_passed() => Vec::new(),
        None => found.failures.iter().map(|failure| failure.message.clone()).collect(),
    };
    cases.push(Case { name: "events".to_owned(), differences: failures });
    let Some((differences, expected)) = report.compared() else { return cases };
    if let Some(documents) = &expected.documents {
        for collection in documents.keys().chain(found.documents.keys()).collect::<BTreeSet<_>>() {
            let of = differences.documents.iter().filter(|one| one.collection == *collection);
            let name = format!("documents of {collection}");
            cases.push(Case { name, differences: of.map(render_document).collect() });
        }
    }
    if !expected.logs.is_empty() {
        let missing = differences.logs.iter().map(|line| format!("there is no line {}", render_line(line)));
        cases.push(Case { name: "log".to_owned(), differences: missing.collect() });
    }
    cases
}

/// The text, safe in attributes and in content. What XML cannot hold at all is replaced.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // In an attribute they would become spaces.
            '\n' | '\t' | '\r' => {
                let _ = write!(safe, "&#{};", u32::from(c));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ => safe.push(c),
        }
    }
    safe
}
