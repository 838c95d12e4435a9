//! `kennel new`: the folder that it makes, and those that it does not touch.

use kennel_tests::binary::Kennel;

#[test]
fn a_project_has_the_name_everywhere_and_a_copy_of_the_sdk() {
    let kennel = Kennel::default();
    let printed = kennel.run(&["new", "deep/inside/order-book", "--lang", "go"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    assert!(printed.stderr.contains("cd deep/inside/order-book"), "{}", printed.stderr);
    assert!(printed.stderr.contains("kennel build && kennel test"), "{}", printed.stderr);
    let project = kennel.folder().join("deep/inside/order-book");
    let text = |name: &str| std::fs::read_to_string(project.join(name)).expect(name);
    assert!(text("go.mod").contains("order-book"));
    assert!(text("main.go").contains("order-book"));
    assert!(text("sdk/go.mod").starts_with("module kennel/projection"));
    assert!(project.join(".gitignore").is_file() && project.join("expected.json").is_file());
    let left = std::fs::read_dir(project.parent().expect("a folder")).expect("a folder").count();
    assert_eq!(left, 1, "nothing else is left");
}

#[test]
fn what_cannot_be_made_is_an_error_that_says_what_to_do() {
    let kennel = Kennel::default();
    kennel.write("file", "");
    for (arguments, code, expected) in [
        (&["new", "Order Summary", "--lang", "go"][..], 4, "take `order-summary`"),
        (&["new", "class", "--lang", "python"], 4, "take `class-summary`"),
        (
            &["new", "orders", "--lang", "cobol"],
            2,
            "possible values: rust, typescript, javascript, python, go, c",
        ),
        (&["new", "orders"], 2, "--lang <LANGUAGE>"),
        (&["new", "file", "--lang", "go"], 5, "is a file: name a new folder"),
    ] {
        let printed = kennel.run(arguments);
        assert_eq!(printed.code, Some(code), "{arguments:?}\n{}", printed.stderr);
        assert!(printed.stderr.contains(expected), "{arguments:?}\n{}", printed.stderr);
    }
    kennel.ok(&["new", "orders", "--lang", "c"]);
    let before = std::fs::read(kennel.folder().join("orders/README.md")).expect("a file");
    let printed = kennel.run(&["new", "orders", "--lang", "go"]);
    assert_eq!(printed.code, Some(5), "{}", printed.stderr);
    assert!(printed.stderr.contains("has files in it"), "{}", printed.stderr);
    assert_eq!(std::fs::read(kennel.folder().join("orders/README.md")).expect("a file"), before);
    std::fs::create_dir(kennel.folder().join("empty")).expect("a folder");
    kennel.ok(&["new", "empty", "--lang", "c"]);
    assert!(kennel.folder().join("empty/empty.c").is_file());
}
