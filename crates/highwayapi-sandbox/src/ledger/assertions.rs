//! What a test says of the ledger, and whether it is so.

use serde_json::{Value, json};

use super::Totals;

/// Money is counted in billionths, so that decimal prices add up.
const BILLIONTHS: f64 = 1e9;

/// What shall hold of the ledger; only what is asked for is checked.
///
/// ```no_run
/// # async fn example() -> Result<(), highwayapi_sandbox::Error> {
/// use highwayapi_sandbox::{Assertions, Sandbox};
///
/// let sandbox = Sandbox::start().await?;
/// // … the client at work …
/// sandbox.assert_ledger(&Assertions::new().submits(3).no_request_billed_twice().spent(3.6, 0.15).no_key_leaked())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Assertions {
    key: Option<String>,
    once: bool,
    submits: Option<u64>,
    max_submits: Option<u64>,
    spent: Option<Spent>,
    no_key_leaked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Spent {
    at_most: f64,
    price_per_second: f64,
}

/// One assertion with its figures.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) name: &'static str,
    pub(crate) held: bool,
    /// A sentence: what was found, and what was expected.
    pub(crate) says: String,
    found: Value,
}

/// All that was asserted, in the order of [`Assertions`]' methods.
#[derive(Debug)]
pub(crate) struct Checked(pub(crate) Vec<Verdict>);

impl Assertions {
    /// Nothing is asserted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// No request was accepted twice: same fields, defaults counted as said, and the same pictures.
    pub fn no_request_billed_twice(mut self) -> Self {
        self.once = true;
        self
    }

    /// Exactly so many submits were accepted.
    pub fn submits(mut self, exactly: u64) -> Self {
        self.submits = Some(exactly);
        self
    }

    /// No more submits than that were accepted.
    pub fn max_submits(mut self, most: u64) -> Self {
        self.max_submits = Some(most);
        self
    }

    /// All clips that were asked for cost no more than `at_most`, at a price for a second of one clip. The currency is the
    /// caller's; the sandbox knows no prices.
    pub fn spent(mut self, at_most: f64, price_per_second: f64) -> Self {
        self.spent = Some(Spent { at_most, price_per_second });
        self
    }

    /// No result link was asked for with credentials.
    pub fn no_key_leaked(mut self) -> Self {
        self.no_key_leaked = true;
        self
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// From a document that `LedgerAssertions` in admin.yaml allows.
    pub(crate) fn from_json(document: &Value) -> Self {
        let flag = |name: &str| document[name] == true;
        let spent = &document["spent"];
        Self {
            key: document["key"].as_str().map(str::to_owned),
            once: flag("no_request_billed_twice"),
            submits: document["submits"].as_u64(),
            max_submits: document["max_submits"].as_u64(),
            spent: spent["at_most"]
                .as_f64()
                .zip(spent["price_per_second"].as_f64())
                .map(|(at_most, price_per_second)| Spent { at_most, price_per_second }),
            no_key_leaked: flag("no_key_leaked"),
        }
    }

    pub(super) fn check(&self, totals: Totals) -> Checked {
        let mut verdicts = Vec::new();
        if self.once {
            let Totals { repeated, unremembered, .. } = totals;
            let says = match (repeated, unremembered) {
                (0, 0) => "no request was billed twice".to_owned(),
                (0, _) => {
                    format!("{unremembered} submits came after more requests than are remembered: nobody can tell")
                }
                _ => format!("{repeated} submits were of a request that had been billed before"),
            };
            let (held, found) = ((repeated, unremembered) == (0, 0), json!(repeated));
            verdicts.push(Verdict { name: "no_request_billed_twice", held, says, found });
        }
        let came = totals.submits;
        if let Some(exactly) = self.submits {
            let says = format!("{came} submits were accepted, and {exactly} were expected");
            verdicts.push(Verdict { name: "submits", held: came == exactly, says, found: json!(came) });
        }
        if let Some(most) = self.max_submits {
            let says = format!("{came} submits were accepted, and at most {most} were expected");
            verdicts.push(Verdict { name: "max_submits", held: came <= most, says, found: json!(came) });
        }
        if let Some(Spent { at_most, price_per_second }) = self.spent {
            let billionths = |money: f64| (money * BILLIONTHS).round() as i128;
            let spent = i128::from(totals.seconds) * billionths(price_per_second);
            let money = spent as f64 / BILLIONTHS;
            let seconds = totals.seconds;
            let says = format!("{seconds} s at {price_per_second} are {money}, and at most {at_most} was expected");
            let held = spent <= billionths(at_most);
            verdicts.push(Verdict { name: "spent", held, says, found: json!(money) });
        }
        if self.no_key_leaked {
            let leaked = totals.leaked;
            let says = format!("{leaked} requests for a clip carried credentials, and none was expected");
            verdicts.push(Verdict { name: "no_key_leaked", held: leaked == 0, says, found: json!(leaked) });
        }
        Checked(verdicts)
    }
}

impl Checked {
    pub(crate) fn held(&self) -> bool {
        self.0.iter().all(|verdict| verdict.held)
    }

    /// Those that held, or those that did not.
    pub(crate) fn list(&self, held: bool) -> Vec<Value> {
        self.0.iter().filter(|verdict| verdict.held == held).map(Verdict::to_json).collect()
    }

    /// Every one that did not hold, in one line.
    pub(crate) fn complaint(&self) -> String {
        let failed = self.0.iter().filter(|verdict| !verdict.held);
        failed.map(|verdict| format!("{}: {}", verdict.name, verdict.says)).collect::<Vec<_>>().join("; ")
    }
}

impl Verdict {
    fn to_json(&self) -> Value {
        json!({ "assertion": self.name, "found": self.found, "says": self.says })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOTALS: Totals = Totals { submits: 3, clips: 3, seconds: 24, repeated: 0, unremembered: 0, leaked: 0 };

    #[test]
    fn every_assertion_can_hold_and_can_fail() {
        let all = |submits| {
            let asserted = Assertions::new().no_request_billed_twice().submits(submits).max_submits(submits);
            asserted.spent(3.6, 0.15).no_key_leaked()
        };
        let checked = all(3).check(TOTALS);
        assert!(checked.held() && checked.list(true).len() == 5, "{checked:?}");
        let checked = all(2).check(Totals { seconds: 25, repeated: 1, leaked: 1, ..TOTALS });
        insta::assert_snapshot!(checked.complaint().replace("; ", "\n"), @r"
        no_request_billed_twice: 1 submits were of a request that had been billed before
        submits: 3 submits were accepted, and 2 were expected
        max_submits: 3 submits were accepted, and at most 2 were expected
        spent: 25 s at 0.15 are 3.75, and at most 3.6 was expected
        no_key_leaked: 1 requests for a clip carried credentials, and none was expected
        ");
    }

    #[test]
    fn what_is_not_known_does_not_hold() {
        let checked = Assertions::new().no_request_billed_twice().check(Totals { unremembered: 1, ..TOTALS });
        assert!(!checked.held());
        assert!(Assertions::new().check(TOTALS).held(), "nothing was asserted");
    }

    #[test]
    fn decimal_prices_add_up() {
        let spent = |seconds, price| Assertions::new().spent(0.3, price).check(Totals { seconds, ..TOTALS }).held();
        assert!(spent(3, 0.1), "0.1 + 0.1 + 0.1 is 0.3, which floating point denies");
        assert!(!spent(3, 0.100_000_001));
    }
}
