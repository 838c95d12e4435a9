//! Compares a function of a component with the same function of the contract, type by type, and says
//! where they part.

use std::collections::BTreeSet;

use wasmparser::component_types::{ComponentDefinedType, ComponentFuncType, ComponentValType};
use wasmparser::types::TypesRef;
use wit_parser::{Function, Resolve, Type, TypeDefKind};

use crate::binary::count;

/// A function of the contract as WIT writes it.
pub(super) fn signature(resolve: &Resolve, function: &Function) -> String {
    let params: Vec<String> = function
        .params
        .iter()
        .map(|param| format!("{}: {}", param.name, expected_type(resolve, &param.ty)))
        .collect();
    let result = function.result.as_ref().map(|ty| format!(" -> {}", expected_type(resolve, ty)));
    format!("{}: func({}){}", function.name, params.join(", "), result.unwrap_or_default())
}

/// One comparison; the differences pile up in it.
pub(super) struct Comparison<'a> {
    resolve: &'a Resolve,
    types: TypesRef<'a>,
    problems: Vec<String>,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(resolve: &'a Resolve, types: TypesRef<'a>) -> Self {
        Self { resolve, types, problems: Vec::new() }
    }

    /// The problems of `found`, which the reader knows as `path`.
    pub(super) fn function(
        mut self,
        expected: &Function,
        path: &str,
        found: &ComponentFuncType,
    ) -> Vec<String> {
        if found.async_ {
            self.problems.push(format!("`{path}` is async, the world's is not"));
        }
        if expected.params.len() != found.params.len() {
            let signature = signature(self.resolve, expected);
            let has = count(found.params.len(), "parameter");
            self.problems.push(format!("`{path}` has {has}; the world's is `{signature}`"));
            return self.problems;
        }
        for (expected, (_, found)) in expected.params.iter().zip(&found.params) {
            self.value(&expected.ty, found, &format!("parameter `{}` of `{path}`", expected.name));
        }
        let result = format!("the result of `{path}`");
        self.optional(expected.result.as_ref(), found.result.as_ref(), &result);
        self.problems
    }

    fn optional(&mut self, expected: Option<&Type>, found: Option<&ComponentValType>, path: &str) {
        match (expected, found) {
            (None, None) => {}
            (Some(expected), Some(found)) => self.value(expected, found, path),
            (Some(expected), None) => {
                let expected = expected_type(self.resolve, expected);
                self.problems.push(format!("{path} is missing; the world has {expected}"));
            }
            (None, Some(found)) => {
                let found = found_type(self.types, found);
                self.problems.push(format!("{path} is {found}, the world has none"));
            }
        }
    }

    fn value(&mut self, expected: &Type, found: &ComponentValType, path: &str) {
        let (name, kind) = match self.kind(expected) {
            Err(primitive) => return self.primitive(primitive, found, path),
            Ok(kind) => kind,
        };
        let found_kind = match found {
            ComponentValType::Type(id) => self.types.get(*id),
            ComponentValType::Primitive(_) => None,
        };
        let Some(found_kind) = found_kind else { return self.mismatch(expected, found, path) };
        let path = &name.map_or_else(|| path.to_owned(), |name| format!("`{name}`"));
        match (kind, found_kind) {
            (TypeDefKind::Record(expected), ComponentDefinedType::Record(found)) => {
                let wanted: Vec<&str> = expected.fields.iter().map(|field| field.name.as_str()).collect();
                let got: Vec<&str> = found.fields.keys().map(|name| name.as_str()).collect();
                self.names(&wanted, &got, path, "field");
                for field in &expected.fields {
                    if let Some((_, found)) =
                        found.fields.iter().find(|(name, _)| name.as_str() == field.name)
                    {
                        self.value(&field.ty, found, &format!("field `{}` of {path}", field.name));
                    }
                }
            }
            (TypeDefKind::Variant(expected), ComponentDefinedType::Variant(found)) => {
                let wanted: Vec<&str> = expected.cases.iter().map(|case| case.name.as_str()).collect();
                let got: Vec<&str> = found.cases.keys().map(|name| name.as_str()).collect();
                self.names(&wanted, &got, path, "case");
                for case in &expected.cases {
                    if let Some((_, found)) = found.cases.iter().find(|(name, _)| name.as_str() == case.name)
                    {
                        let path = format!("case `{}` of {path}", case.name);
                        self.optional(case.ty.as_ref(), found.ty.as_ref(), &path);
                    }
                }
            }
            (TypeDefKind::Enum(expected), ComponentDefinedType::Enum(found)) => {
                let wanted: Vec<&str> = expected.cases.iter().map(|case| case.name.as_str()).collect();
                let got: Vec<&str> = found.iter().map(|name| name.as_str()).collect();
                self.names(&wanted, &got, path, "case");
            }
            (TypeDefKind::List(expected), ComponentDefinedType::List { element, .. }) => {
                self.value(expected, element, &format!("the elements of {path}"));
            }
            (TypeDefKind::Option(expected), ComponentDefinedType::Option { ty, .. }) => {
                self.value(expected, ty, path);
            }
            (TypeDefKind::Result(expected), ComponentDefinedType::Result { ok, err, .. }) => {
                self.optional(expected.ok.as_ref(), ok.as_ref(), &format!("the value of {path}"));
                self.optional(expected.err.as_ref(), err.as_ref(), &format!("the error of {path}"));
            }
            (TypeDefKind::Tuple(expected), ComponentDefinedType::Tuple(found))
                if expected.types.len() == found.types.len() =>
            {
                for (number, (expected, found)) in expected.types.iter().zip(&found.types).enumerate() {
                    self.value(expected, found, &format!("element {number} of {path}"));
                }
            }
            _ => self.mismatch(expected, found, path),
        }
    }

    /// The definition behind a type and the name it goes by; a primitive has neither.
    fn kind(&self, ty: &Type) -> Result<(Option<&'a str>, &'a TypeDefKind), Type> {
        let Type::Id(id) = ty else { return Err(*ty) };
        let definition = &self.resolve.types[*id];
        match &definition.kind {
            // `use types.{event}` makes an alias.
            TypeDefKind::Type(target) => self.kind(target),
            kind => Ok((definition.name.as_deref(), kind)),
        }
    }

    fn primitive(&mut self, expected: Type, found: &ComponentValType, path: &str) {
        let expected_name = expected_type(self.resolve, &expected);
        if found_type(self.types, found) != expected_name {
            self.mismatch(&expected, found, path);
        }
    }

    fn mismatch(&mut self, expected: &Type, found: &ComponentValType, path: &str) {
        let (expected, found) = (expected_type(self.resolve, expected), found_type(self.types, found));
        self.problems.push(format!("{path} is {found}, the world's is {expected}"));
    }

    fn names(&mut self, expected: &[&str], found: &[&str], path: &str, noun: &str) {
        if expected == found {
            return;
        }
        let (wanted, got): (BTreeSet<&str>, BTreeSet<&str>) =
            (expected.iter().copied().collect(), found.iter().copied().collect());
        if wanted == got {
            let order = expected.join(", ");
            self.problems
                .push(format!("the {noun}s of {path} are in another order than the world's: {order}"));
            return;
        }
        let quote =
            |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let missing: Vec<&str> = expected.iter().filter(|name| !got.contains(**name)).copied().collect();
        let extra: Vec<&str> = found.iter().filter(|name| !wanted.contains(**name)).copied().collect();
        let mut parts = Vec::new();
        if !missing.is_empty() {
            let verb = if missing.len() == 1 { "is" } else { "are" };
            parts.push(format!("{} {verb} missing", quote(missing)));
        }
        if !extra.is_empty() {
            let verb = if extra.len() == 1 { "is" } else { "are" };
            parts.push(format!("{} {verb} not in the world's", quote(extra)));
        }
        let (has, world) = (count(found.len(), noun), expected.len());
        self.problems.push(format!("{path} has {has}, the world's has {world}: {}", parts.join(", and ")));
    }
}

/// A type of the contract as WIT writes it: by name where it has one.
fn expected_type(resolve: &Resolve, ty: &Type) -> String {
    let inner =
        |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), |ty| expected_type(resolve, ty));
    let id = match ty {
        Type::Bool => return "bool".to_owned(),
        Type::U8 => return "u8".to_owned(),
        Type::U16 => return "u16".to_owned(),
        Type::U32 => return "u32".to_owned(),
        Type::U64 => return "u64".to_owned(),
        Type::S8 => return "s8".to_owned(),
        Type::S16 => return "s16".to_owned(),
        Type::S32 => return "s32".to_owned(),
        Type::S64 => return "s64".to_owned(),
        Type::F32 => return "f32".to_owned(),
        Type::F64 => return "f64".to_owned(),
        Type::Char => return "char".to_owned(),
        Type::String => return "string".to_owned(),
        Type::ErrorContext => return "error-context".to_owned(),
        Type::Id(id) => *id,
    };
    let definition = &resolve.types[id];
    if let Some(name) = &definition.name {
        return name.clone();
    }
    match &definition.kind {
        TypeDefKind::Option(ty) => format!("option<{}>", expected_type(resolve, ty)),
        TypeDefKind::List(ty) => format!("list<{}>", expected_type(resolve, ty)),
        TypeDefKind::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(|ty| expected_type(resolve, ty)).collect();
            format!("tuple<{}>", types.join(", "))
        }
        TypeDefKind::Result(result) => match (&result.ok, &result.err) {
            (None, None) => "result".to_owned(),
            (ok, None) => format!("result<{}>", inner(ok)),
            (ok, err) => format!("result<{}, {}>", inner(ok), inner(err)),
        },
        kind => kind.as_str().to_owned(),
    }
}

/// A type of the component, which has no names for it: by its shape.
fn found_type(types: TypesRef<'_>, ty: &ComponentValType) -> String {
    let inner = |ty: &Option<ComponentValType>| {
        ty.as_ref().map_or_else(|| "_".to_owned(), |ty| found_type(types, ty))
    };
    let id = match ty {
        ComponentValType::Primitive(primitive) => return primitive.to_string(),
        ComponentValType::Type(id) => *id,
    };
    match &types[id] {
        ComponentDefinedType::Primitive(primitive) => primitive.to_string(),
        ComponentDefinedType::Record(record) => {
            format!("a record of {}", count(record.fields.len(), "field"))
        }
        ComponentDefinedType::Variant(variant) => {
            format!("a variant of {}", count(variant.cases.len(), "case"))
        }
        ComponentDefinedType::Enum(cases) => format!("an enum of {}", count(cases.len(), "case")),
        ComponentDefinedType::Flags(flags) => count(flags.len(), "flag"),
        ComponentDefinedType::List { element, .. } => format!("list<{}>", found_type(types, element)),
        ComponentDefinedType::Option { ty, .. } => format!("option<{}>", found_type(types, ty)),
        ComponentDefinedType::Tuple(tuple) => {
            let types: Vec<String> = tuple.types.iter().map(|ty| found_type(types, ty)).collect();
            format!("tuple<{}>", types.join(", "))
        }
        ComponentDefinedType::Result { ok: None, err: None, .. } => "result".to_owned(),
        ComponentDefinedType::Result { ok, err: None, .. } => format!("result<{}>", inner(ok)),
        ComponentDefinedType::Result { ok, err, .. } => format!("result<{}, {}>", inner(ok), inner(err)),
        ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => "a resource".to_owned(),
        ComponentDefinedType::Map { .. } => "a map".to_owned(),
        ComponentDefinedType::FixedLengthList { .. } => "a list of fixed length".to_owned(),
        ComponentDefinedType::Future { .. } => "a future".to_owned(),
        ComponentDefinedType::Stream { .. } => "a stream".to_owned(),
    }
}
