//! Text of others made safe to show. Guests, events and files may hold anything: characters that have a terminal do
//! things, line ends that make one entry of a log look like two, marks that turn the direction of writing around. Each
//! edge that shows text to people passes it through here once; stored text, and text that is printed as JSON, stays
//! exact. Amounts of time and memory as people write them are here as well.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

/// What the later lines of a text begin with where they are shown below the first.
pub const INDENT: &str = "    ";

/// Whether a character does something other than to show itself, or hides itself or others.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Line ends that are no control characters.
            '\u{2028}' | '\u{2029}'
            // Marks that change the direction of what follows.
            | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // What takes no room, except the joiners, which some scripts cannot be written without.
            | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text on one line: whatever is unsafe is written as Rust writes it in a literal, such as `\n` or `\u{1b}`.
#[must_use]
pub fn escaped(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_unsafe) { Cow::Owned(rewritten(text, |_| false)) } else { Cow::Borrowed(text) }
}

/// The text on as many lines as it has, of which only the first can begin at the margin: those below are indented, so
/// that none of them can pass for another entry. Empty lines before the first are kept, and so are tabs.
#[must_use]
pub fn indented(text: &str) -> String {
    let body = text.trim_start_matches('\n');
    let mut shown = "\n".repeat(text.len() - body.len());
    for (index, line) in body.split('\n').enumerate() {
        if index > 0 {
            shown.push('\n');
            if !line.is_empty() && !line.starts_with("  ") {
                shown.push_str(INDENT);
            }
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        shown.push_str(&rewritten(line, |c| c == '\t'));
    }
    shown
}

/// A text of JSON that says the same and holds nothing unsafe, except the line ends and tabs between its tokens. The
/// writer of the JSON has escaped the control characters below U+0020 that are in strings.
#[must_use]
pub fn safe_json(json: &str) -> Cow<'_, str> {
    let is_left = |c: char| matches!(c, '\n' | '\r' | '\t') || !is_unsafe(c);
    if json.chars().all(is_left) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_left(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // A string takes any text.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    Cow::Owned(safe)
}

/// A length of time as people write it.
#[must_use]
pub fn seconds(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis.is_multiple_of(1000) { format!("{} s", millis / 1000) } else { format!("{millis} ms") }
}

/// An amount of memory as people write it.
#[must_use]
pub fn mebibytes(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    let (whole, rest) = (bytes / MIB, bytes % MIB);
    if rest == 0 { format!("{whole} MiB") } else { format!("{whole}.{} MiB", rest * 10 / MIB) }
}

fn rewritten(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) && !is_kept(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_well() {
        assert_eq!(seconds(Duration::from_secs(2)), "2 s");
        assert_eq!(seconds(Duration::from_millis(1500)), "1500 ms");
        assert_eq!(mebibytes(128 * 1024 * 1024), "128 MiB");
        assert_eq!(mebibytes(128 * 1024 * 1024 + 64 * 1024), "128.0 MiB");
    }

    #[test]
    fn one_line_holds_nothing_that_does_anything() {
        for (text, expected) in [
            ("", ""),
            ("Grüße, 世界 🎉 C:\\new \"x\"", "Grüße, 世界 🎉 C:\\new \"x\""),
            ("a\nb\r\n\tc", "a\\nb\\r\\n\\tc"),
            ("\u{1b}[2J\u{7f}\u{9b}31m\0\u{7}", "\\u{1b}[2J\\u{7f}\\u{9b}31m\\u{0}\\u{7}"),
            ("\u{202e}abc\u{2066}\u{2069}\u{feff}", "\\u{202e}abc\\u{2066}\\u{2069}\\u{feff}"),
            ("\u{2028}\u{2029}\u{200b}\u{e0041}", "\\u{2028}\\u{2029}\\u{200b}\\u{e0041}"),
            // Persian is written with the non-joiner, families with the joiner.
            ("می\u{200c}خواهم 👩\u{200d}👧", "می\u{200c}خواهم 👩\u{200d}👧"),
        ] {
            assert_eq!(escaped(text), expected);
            assert!(!escaped(text).chars().any(is_unsafe));
        }
        assert!(matches!(escaped("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn later_lines_cannot_pass_for_entries() {
        for (text, expected) in [
            ("one", "one"),
            ("\n\none\ttwo", "\n\none\ttwo"),
            ("one\nerror: two\r\n  three\n\nfour\u{1b}c", "one\n    error: two\n  three\n\n    four\\u{1b}c"),
        ] {
            assert_eq!(indented(text), expected);
        }
    }

    #[test]
    fn json_says_the_same() {
        let exact = "{\n\t\"a\": \"x\u{9b}\u{202e}\u{7f}\u{e0041}\u{2028}ü\\n\\u001b\"\n}";
        let safe = safe_json(exact);
        assert_eq!(safe, "{\n\t\"a\": \"x\\u009b\\u202e\\u007f\\udb40\\udc41\\u2028ü\\n\\u001b\"\n}");
        assert!(matches!(safe_json("{\"a\": 1}\n"), Cow::Borrowed(_)));
    }
}
