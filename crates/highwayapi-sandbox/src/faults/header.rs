//! A fault for one request, by its header `x-sandbox-fault`.

use axum::http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::faults::effect::Effect;
use crate::operation::Operation;

const NAME: HeaderName = HeaderName::from_static("x-sandbox-fault");

/// `lost_answer`, or with parameters: `status status=502 body=html`, `header name=x-odd value="1"`.
pub(crate) fn fault(headers: &HeaderMap, operation: Operation) -> Result<Option<Effect>, ApiError> {
    let Some(value) = headers.get(NAME) else { return Ok(None) };
    let invalid = |why: String| ApiError::bad_request("INVALID_FAULT", format!("{NAME}: {why}"));
    let text = value.to_str().map_err(|_| invalid("it is not ASCII".to_owned()))?;
    let effect = read(text).map_err(invalid)?;
    if !effect.suits(operation) {
        let fits = effect.operations().join(", ");
        return Err(invalid(format!("`{}` is for {fits}, and this is {operation}", effect.name())));
    }
    Ok(Some(effect))
}

fn read(text: &str) -> Result<Effect, String> {
    let mut words = text.split_ascii_whitespace();
    let name = words.next().ok_or("it is empty; the name of an effect must come")?;
    let mut with = Map::new();
    for word in words {
        let (parameter, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is no NAME=VALUE"))?;
        // A number or a truth value where it looks like one, else text.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        if with.insert(parameter.to_owned(), value).is_some() {
            return Err(format!("{parameter} came more than once"));
        }
    }
    Effect::read(name, with)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_or_refused() {
        let told = |text: &str| match read(text) {
            Ok(effect) => format!("{effect:?}"),
            Err(why) => why,
        };
        insta::assert_snapshot!(told("lost_answer by=reset"), @"LostAnswer { by: Reset }");
        insta::assert_snapshot!(told("rate_limited retry_after=2"), @"RateLimited { retry_after: Seconds(2) }");
        insta::assert_snapshot!(told("dribble pieces=3 pause=1s"), @"Dribble { pieces: 3, pause: Span(1s) }");
        insta::assert_snapshot!(told("status"), @"with: missing field `status`");
        insta::assert_snapshot!(told("status status=99"), @"with: status: 99 came, and it must be from 200 to 599");
        insta::assert_snapshot!(told("dribble pause=soon"), @r#"with: pause: invalid value: string "soon", expected a time such as "500ms", "90s", "5m" or "1h 30m", at most a year"#);
        insta::assert_snapshot!(told("lost_answer by"), @r#""by" is no NAME=VALUE"#);
        insta::assert_snapshot!(told("no_videos x=1"), @"with: x: unknown field `x`, there are no fields");
        insta::assert_snapshot!(told(""), @"it is empty; the name of an effect must come");
    }
}
