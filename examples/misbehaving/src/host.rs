//! Misdeeds that cost the host more than the guest: what it keeps, copies and computes for a projection.

use std::hint::black_box;

use kennel_guest::prelude::*;

/// As large as a document may be.
const LARGE_BYTES: usize = 1024 * 1024;
/// Large documents that one event may write.
const LARGE_DOCUMENTS: usize = 28;
/// As long as a key may be.
const LONG_NAME_CHARS: usize = 1024;
/// More than a host takes over in one call.
const ENDLESS_BYTES: usize = 20 * 1024 * 1024;
/// What a guest may have, beside what it needs for itself.
const HEAVY_BYTES: usize = 90 * 1024 * 1024;

/// Carries out the command, if it is one of these.
pub(crate) fn burden(command: &str, event: &Event, model: &mut dyn ReadModel) -> Result<bool, Failure> {
    match command {
        "IncrementForever" => {
            model.put_text("large", "one", &large());
            loop {
                model.increment("large", "one", "n", 1);
            }
        }
        "PutDeleteForever" => {
            let text = large();
            loop {
                model.put_text("large", "one", &text);
                model.delete("large", "one");
            }
        }
        "FieldsForever" => names(|name| model.increment("fields", "one", name, 1)),
        "IncrementNamesForever" => names(|name| model.increment("names", name, "n", 1)),
        "DeleteNamesForever" => names(|name| {
            model.put_text("names", name, "1");
            model.delete("names", name);
        }),
        "PutForever" => {
            let text = large();
            names(|name| model.put_text("large", name, &text))
        }
        "ScanLarge" => {
            // Together with those that `Heavy` has written they are more than one call returns.
            write_more(model);
            black_box(model.scan_text("large", None, "", 1000));
        }
        "ScanForever" => {
            write_large(model);
            loop {
                black_box(model.scan_text("large", None, "", 1000));
            }
        }
        "GetManyLarge" => {
            model.put_text("large", "one", &large());
            black_box(model.get_many_text("large", &vec!["one".to_owned(); 64]));
        }
        "ManyKeys" => drop(black_box(model.get_many_text("large", &vec!["one".to_owned(); 1_000_000]))),
        "LongReject" => return Err(Failure::reject("x".repeat(ENDLESS_BYTES / 2))),
        "EndlessReject" => return Err(Failure::reject("x".repeat(ENDLESS_BYTES))),
        "LongLog" => {
            let line = "x".repeat(ENDLESS_BYTES / 4);
            (0..20).for_each(|_| log::info(&line));
        }
        "ConfigForever" => loop {
            black_box(config::get("misdeeds"));
        },
        "Heavy" => {
            let heavy = black_box(vec![1_u8; HEAVY_BYTES]);
            write_large(model);
            drop(black_box(heavy));
        }
        "LargeOwn" => model.put_text("own", &event.aggregate_id, &large()),
        "ReadLargeOwn" => drop(black_box(model.get_text("own", &event.aggregate_id))),
        "IncrementLargeOwn" => model.increment("own", &event.aggregate_id, "n", 1),
        _ => return Ok(false),
    }
    Ok(true)
}

/// A document that is as large as it may be, and has room for a counter.
fn large() -> String {
    let rest = "{\"n\":0,\"text\":\"\"}".len() + 32;
    format!("{{\"n\":0,\"text\":\"{}\"}}", "x".repeat(LARGE_BYTES - rest))
}

fn write_large(model: &mut dyn ReadModel) {
    let text = large();
    (0..LARGE_DOCUMENTS).for_each(|number| model.put_text("large", &number.to_string(), &text));
}

fn write_more(model: &mut dyn ReadModel) {
    let text = large();
    (0..LARGE_DOCUMENTS).for_each(|number| model.put_text("large", &format!("more {number}"), &text));
}

/// Calls with one long name after the other.
fn names(mut call: impl FnMut(&str)) -> ! {
    let mut number = 0_u64;
    loop {
        call(&format!("{number:0LONG_NAME_CHARS$}"));
        number += 1;
    }
}
