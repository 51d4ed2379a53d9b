//! What the generated file offers, one line each: the part of a regeneration that a person should read.

use quote::ToTokens;
use syn::{Attribute, Fields, FnArg, ImplItem, Item, ItemImpl, Visibility};

use crate::Result;

/// Lists types, fields, serde attributes, defaults and calls.
pub fn listing(source: &str) -> Result<String> {
    let mut lines = Vec::new();
    for item in syn::parse_file(source)?.items {
        list(&item, "", &mut lines);
    }
    Ok(lines.join("\n") + "\n")
}

fn list(item: &Item, module: &str, lines: &mut Vec<String>) {
    match item {
        Item::Mod(inner) => {
            let module = format!("{module}{}::", inner.ident);
            for item in inner.content.iter().flat_map(|(_, items)| items) {
                list(item, &module, lines);
            }
        }
        Item::Struct(item) => {
            let name = format!("{module}{}", item.ident);
            lines.push(format!("struct {name}{}", serde(&item.attrs)));
            for field in &item.fields {
                let field_name = field.ident.as_ref().map_or("0".to_owned(), ToString::to_string);
                lines.push(format!("  {name}.{field_name}: {}{}", text(&field.ty), serde(&field.attrs)));
            }
        }
        Item::Enum(item) => {
            let name = format!("{module}{}", item.ident);
            lines.push(format!("enum {name}{}", serde(&item.attrs)));
            for variant in &item.variants {
                let fields = match &variant.fields {
                    Fields::Unit => String::new(),
                    fields => text(fields),
                };
                let value = variant.discriminant.as_ref().map(|(_, value)| format!(" = {}", text(value)));
                lines.push(format!(
                    "  {name}::{}{fields}{}{}",
                    variant.ident,
                    value.unwrap_or_default(),
                    serde(&variant.attrs)
                ));
            }
        }
        Item::Impl(item) => list_impl(item, module, lines),
        _ => {}
    }
}

fn list_impl(item: &ItemImpl, module: &str, lines: &mut Vec<String>) {
    let name = text(&item.self_ty);
    let calls = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(call) => Some(call),
        _ => None,
    });
    match &item.trait_ {
        // Only enums say something with their default; a struct's lists its fields again.
        Some((path, _)) if path.is_ident("Default") || text(path).ends_with("::Default") => {
            for call in calls {
                let body = text(&call.block);
                if body.contains("Self ::") || body.contains("::") && !body.contains(':') {
                    lines.push(format!("  {module}{name} default {}", squeeze(&body)));
                }
            }
        }
        None => {
            for call in calls.filter(|call| matches!(call.vis, Visibility::Public(_)) && name == "Client") {
                let args = call.sig.inputs.iter().map(|arg| match arg {
                    FnArg::Receiver(_) => "&self".to_owned(),
                    FnArg::Typed(arg) => text(arg),
                });
                let args = args.collect::<Vec<_>>().join(", ");
                let asynchronous = if call.sig.asyncness.is_some() { "async " } else { "" };
                lines.push(format!("{asynchronous}fn {name}::{}({args}) {}", call.sig.ident, text(&call.sig.output)));
            }
        }
        Some(_) => {}
    }
}

fn serde(attributes: &[Attribute]) -> String {
    let attributes = attributes.iter().filter(|attribute| attribute.path().is_ident("serde"));
    attributes.map(|attribute| format!(" {}", text(attribute))).collect()
}

fn text(tokens: &impl ToTokens) -> String {
    squeeze(&tokens.to_token_stream().to_string())
}

/// Tokens print with blanks everywhere; people write them only where they help.
fn squeeze(text: &str) -> String {
    let mut text = text.replace(":: std :: option :: ", "").replace(":: std :: string :: ", "");
    for (spaced, tight) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        (" > ", "> "),
        ("< ", "<"),
        (" >", ">"),
        (" , ", ", "),
        (" ,", ","),
        ("# [", "#["),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        ("[ ", "["),
        (" ]", "]"),
        ("& ", "&"),
        (" ;", ";"),
        (" : ", ": "),
        ("-> ", "-> "),
        ("' ", "'"),
    ] {
        text = text.replace(spaced, tight);
    }
    text.trim().to_owned()
}
