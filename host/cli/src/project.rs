//! The project of a projection: a folder with its sources, made by `kennel new` and built by `kennel build`.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`language`] | the languages that have an SDK |
//! | [`find`] | language, name and SDK of a project folder |
//! | [`build`] | how a project becomes a component, one file a language |
//! | [`name`] | names of projects |
//! | [`template`] | the files of a new project |
//! | [`tools`] | where the tools of a language are, and how to get those that are missing |
//! | [`process`] | tools as processes |
//! | [`version`] | versions as tools print them |
//!
//! Nothing here prints: what people are to see goes through [`tools::Tools::note`], or is the tools' own.

pub(crate) mod build;
pub(crate) mod find;
pub(crate) mod language;
pub(crate) mod name;
mod process;
pub(crate) mod template;
pub(crate) mod tools;
mod version;
