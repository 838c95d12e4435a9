//! What core says about JSON held against the server: what it takes, `jsonb` takes and gives back within the bound,
//! and what it rejects, the server rejects or makes too much of.

use kennel_core::document::{Unfit, check_document};
use kennel_core::event::is_json;
use kennel_core::limits;
use sqlx::{PgConnection, Row as _};

use super::{CLUSTER, stranger};

/// How long the server writes out a document that it has taken; none if it does not take it.
async fn written(server: &mut PgConnection, text: &str) -> Option<usize> {
    let query = sqlx::query("SELECT octet_length($1::text::jsonb::text)").bind(text);
    let row = query.fetch_one(server).await.ok()?;
    usize::try_from(row.get::<i32, _>(0)).ok()
}

/// Numbers from 0 up to `below`, the same every time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    fn of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    fn digits(&mut self, max: usize) -> String {
        (0..=self.below(max)).map(|_| self.of(&["0", "1", "5", "9"])).collect()
    }

    fn number(&mut self) -> String {
        let whole = self.digits(4);
        let whole = whole.trim_start_matches('0');
        let mut number = self.of(&["", "-"]).to_owned();
        number += if whole.is_empty() { "0" } else { whole };
        if self.below(2) == 0 {
            number += &format!(".{}", self.digits(5));
        }
        if self.below(3) > 0 {
            let exponent = match self.below(5) {
                0 => self.below(20),
                1 => 131_060 + self.below(20),
                2 => 16_370 + self.below(20),
                3 => 1_000_000,
                _ => self.below(140_000),
            };
            number += &format!("{}{}{exponent}", self.of(&["e", "E"]), self.of(&["", "+", "-", "-"]));
        }
        number
    }

    fn string(&mut self) -> String {
        let parts = [
            "a",
            "\\\\",
            "\\\"",
            "\\u0041",
            "\\u0000",
            "\\ud83d\\udc36",
            "\\ud83d",
            "\\udc36",
            "u0000",
            "ä",
            "\\n",
        ];
        let length = self.below(3);
        format!("\"{}\"", (0..length).map(|_| self.of(&parts)).collect::<String>())
    }

    fn value(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 3 } else { 5 }) {
            0 => self.number(),
            1 => self.string(),
            2 => self.of(&["null", "true", "false", "0", "\"x\""]).to_owned(),
            3 => {
                let items: Vec<String> = (0..self.below(4)).map(|_| self.value(depth - 1)).collect();
                format!("[{}]", items.join(self.of(&[",", " , "])))
            }
            _ => {
                let fields: Vec<String> = (0..self.below(4))
                    .map(|_| {
                        format!(
                            "{}:{}",
                            self.of(&["\"a\"", "\"b\"", "\"\\u0061\"", "\"c\""]),
                            self.value(depth - 1)
                        )
                    })
                    .collect();
                format!("{{{}}}", fields.join(","))
            }
        }
    }
}

async fn check(server: &mut PgConnection, text: &str) -> bool {
    assert!(is_json(text), "{text}");
    let (said, written) = (check_document(text), written(server, text).await);
    let shown = limits::excerpt(text);
    match said {
        Ok(()) => {
            let written = written.unwrap_or_else(|| panic!("the server does not take {shown}"));
            // It puts a blank behind every comma and colon, and nothing else is longer than it was.
            let blanks = text.bytes().filter(|byte| matches!(byte, b',' | b':')).count();
            assert!(written <= limits::DOCUMENT_BYTES_MAX + blanks, "{written} bytes of {shown}");
            true
        }
        // The server keeps the last of these, and takes deeper nesting as far as its stack goes.
        Err(Unfit::Twice { .. } | Unfit::Depth) => false,
        Err(Unfit::Length { bytes, .. }) => {
            let written = written.unwrap_or_else(|| panic!("the server does not even take {shown}"));
            assert!(written >= bytes, "{written} of {bytes} bytes: {shown}");
            false
        }
        Err(unfit) => {
            assert_eq!(written, None, "{shown} {unfit}, but the server takes it");
            false
        }
    }
}

#[tokio::test]
async fn accepted_documents_are_taken_and_given_back_by_the_server() {
    let mut server = stranger(&CLUSTER.create_database()).await;
    let mut draw = Draw(1);
    let (mut taken, mut rejected) = (0, 0);
    for _ in 0..4_000 {
        let text = draw.value(3);
        if check(&mut server, &text).await { taken += 1 } else { rejected += 1 }
    }
    assert!(taken > 500 && rejected > 500, "{taken} taken, {rejected} rejected");
    let deepest = format!("{}{}", "[".repeat(limits::JSON_DEPTH_MAX), "]".repeat(limits::JSON_DEPTH_MAX));
    let fullest = format!("[{}]", ["1e131071"; 7].join(","));
    for text in
        [deepest.as_str(), &fullest, "1e131071", "1e-16383", "0e131072", "-0", "0e-16383", "0.1e131072"]
    {
        assert!(check(&mut server, text).await, "{}", limits::excerpt(text));
    }
    let over = format!("[{}]", ["1e131071"; 8].join(","));
    for text in [over.as_str(), "1e131072", "1e-16384", "0e-16384", "0e2000000000", "10e131071"] {
        assert!(!check(&mut server, text).await, "{}", limits::excerpt(text));
    }
}
