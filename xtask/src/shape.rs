//! What the generated file offers, one line each: the part of a regeneration that a person should read.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, FnArg, ImplItem, ImplItemFn, Item, ItemImpl, ReturnType, Visibility};

use crate::Result;

/// Lists types with their fields, serde attributes and defaults, and the client's calls.
pub fn listing(source: &str) -> Result<String> {
    let mut lines = Vec::new();
    for item in &syn::parse_file(source)?.items {
        list(item, "", &mut lines);
    }
    Ok(lines.join("\n") + "\n")
}

fn list(item: &Item, module: &str, lines: &mut Vec<String>) {
    match item {
        Item::Mod(inner) => {
            let module = format!("{module}{}::", inner.ident);
            inner.content.iter().flat_map(|(_, items)| items).for_each(|item| list(item, &module, lines));
        }
        Item::Struct(item) => {
            lines.push(format!("struct {module}{}{}", item.ident, serde(&item.attrs)));
            for (index, field) in item.fields.iter().enumerate() {
                let name = field.ident.as_ref().map_or(index.to_string(), ToString::to_string);
                lines.push(format!("  {name}: {}{}", text(&field.ty), serde(&field.attrs)));
            }
        }
        Item::Enum(item) => {
            lines.push(format!("enum {module}{}{}", item.ident, serde(&item.attrs)));
            for variant in &item.variants {
                let fields = text(&variant.fields);
                let value = variant.discriminant.as_ref().map_or(String::new(), |(_, value)| text(value));
                let value = if value.is_empty() { value } else { format!(" = {value}") };
                lines.push(format!("  {}{fields}{value}{}", variant.ident, serde(&variant.attrs)));
            }
        }
        Item::Impl(item) => list_impl(item, lines),
        _ => {}
    }
}

/// Of what is implemented only defaults and the client's calls say something about the contract.
fn list_impl(item: &ItemImpl, lines: &mut Vec<String>) {
    let calls = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(call) => Some(call),
        _ => None,
    });
    let implemented = item.trait_.as_ref().and_then(|(path, _)| path.segments.last());
    match implemented {
        Some(name) if name.ident == "Default" => {
            // It follows the type that it is of.
            lines.extend(calls.map(|call| format!("  default {}", text(&call.block.stmts.last()))));
        }
        None if text(&item.self_ty) == "Client" => {
            let calls = calls.filter(|call| matches!(call.vis, Visibility::Public(_)));
            lines.extend(calls.map(signature));
        }
        _ => {}
    }
}

fn signature(call: &ImplItemFn) -> String {
    let args = call.sig.inputs.iter().filter_map(|arg| match arg {
        FnArg::Receiver(_) => None,
        FnArg::Typed(arg) => Some(format!("{}: {}", text(&arg.pat), text(&arg.ty))),
    });
    let output = match &call.sig.output {
        ReturnType::Default => String::new(),
        ReturnType::Type(_, output) => format!(" -> {}", text(output)),
    };
    let docs: String = call.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).map(text).collect();
    let sent = docs.split_once("Sends a ").and_then(|(_, sent)| sent.split("\\n").next());
    let sent = sent.map_or(String::new(), |sent| format!("\n  {sent}"));
    format!("fn Client::{}({}){output}{sent}", call.sig.ident, args.collect::<Vec<_>>().join(", "))
}

fn serde(attributes: &[Attribute]) -> String {
    let attributes = attributes.iter().filter(|attribute| attribute.path().is_ident("serde"));
    attributes.map(|attribute| format!(" {}", text(attribute))).collect()
}

/// The tokens with blanks only where people write them, and without the paths of well-known types.
fn text(tokens: &impl ToTokens) -> String {
    let mut text = String::new();
    write(tokens.to_token_stream(), &mut text);
    for (long, short) in [("::std::option::", ""), ("::std::string::", ""), ("::std::vec::", ""), (", >", ">")] {
        text = text.replace(long, short);
    }
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(mark) if mark.as_char() == ',' => text.push_str(", "),
            TokenTree::Punct(mark) if mark.as_char() == '=' => text.push_str(" = "),
            TokenTree::Punct(mark) => text.push(mark.as_char()),
            word => {
                if text.ends_with(|letter: char| letter.is_alphanumeric()) {
                    text.push(' ');
                }
                text.push_str(&word.to_string());
            }
        }
    }
}
