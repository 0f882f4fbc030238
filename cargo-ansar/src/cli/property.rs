//! `get`, `set` and `edit`: the properties of roles.

use crate::commands;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::cli::Session;
use crate::cli::encoding::{input_file, stdin};
use crate::cli::exit::Exit;
use crate::cli::search::SearchArgs;
use crate::commands::input_file::InputFile;
use crate::commands::set::Value;
use crate::error::{Error, InputError};
use crate::manifest::properties::{Change, PROPERTIES, Property};
use crate::report::{human, listing};

/// Arguments of `get`.
#[derive(Debug, Args)]
#[command(after_help = table(|_| true))]
pub struct GetArgs {
    /// Name of the property
    #[arg(value_parser = any(), hide_possible_values = true)]
    property: &'static Property,
    /// Name of the role
    role: String,
}

/// Arguments of `set`.
#[derive(Debug, Args)]
#[command(after_help = table(|property| property.change.is_some()))]
pub struct SetArgs {
    /// Name of the property
    #[arg(value_parser = settable(), hide_possible_values = true)]
    property: Settable,
    #[command(flatten)]
    search: SearchArgs,
    /// Read the value from FILE instead of stdin
    #[arg(long, value_name = "FILE", conflicts_with = "not_set")]
    encoding_file: Option<PathBuf>,
    /// Unset the property
    #[arg(long)]
    not_set: bool,
}

/// Arguments of `edit`.
#[derive(Debug, Args)]
#[command(
    after_help = "The editor is `VISUAL`, else `EDITOR`, else `vi`. The property is \
                        set only if the saved text is valid."
)]
pub struct EditArgs {
    /// Name of the property
    #[arg(value_parser = settable(), hide_possible_values = true)]
    property: Settable,
    /// Name of the role
    role: String,
}

/// A property that can be set.
#[derive(Debug, Clone, Copy)]
struct Settable {
    property: &'static Property,
    change: Change,
}

fn any() -> impl TypedValueParser<Value = &'static Property> {
    let names = PROPERTIES.iter().map(|property| property.name);
    PossibleValuesParser::new(names).try_map(|name| found(&name))
}

fn settable() -> impl TypedValueParser<Value = Settable> {
    let names = PROPERTIES.iter().map(|property| {
        // Read-only properties are parsed, so that the error can name the
        // reason.
        PossibleValue::new(property.name).hide(property.change.is_none())
    });
    PossibleValuesParser::new(names).try_map(|name| {
        let property = found(&name)?;
        match property.change {
            Some(change) => Ok(Settable { property, change }),
            None => Err(format!("`{name}` is read-only: print it with `get {name}`")),
        }
    })
}

fn found(name: &str) -> Result<&'static Property, String> {
    Property::find(name).ok_or_else(|| format!("no property `{name}`"))
}

/// Returns a table of the properties for a help text.
fn table(shown: fn(&Property) -> bool) -> String {
    let properties = PROPERTIES.iter().filter(|property| shown(property));
    let lines: Vec<_> = properties
        .map(|property| {
            let example = property.change.map(|change| change.example);
            let example = example.map_or_else(String::new, |example| {
                format!(", as in `{{\"value\": {example}}}`")
            });
            format!("\n  {:<13} {}{example}", property.name, property.about)
        })
        .collect();
    format!("Properties:{}", lines.concat())
}

impl SetArgs {
    fn value(&self) -> Result<Value, Error> {
        if self.not_set {
            return Ok(Value::NotSet);
        }
        let input = match &self.encoding_file {
            Some(path) => input_file(path)?,
            // A terminal shows no prompt: the user would not know to type a
            // value.
            None if io::stdin().is_terminal() => {
                return Err(Error::Input(InputError::NoValue(
                    self.property.property.name,
                )));
            }
            None => InputFile::Stdin(stdin()?),
        };
        Ok(Value::Set(input))
    }
}

impl Session<'_> {
    pub(super) fn get(&self, args: &GetArgs) -> Result<Exit, Error> {
        let value = commands::get::get(&self.places, args.property, &args.role.parse()?)?;
        self.printer
            .show(move |shell| listing::encoding(shell, &value));
        Ok(Exit::Success)
    }

    pub(super) fn set(&self, args: &SetArgs) -> Result<Exit, Error> {
        let Settable { property, change } = args.property;
        let search = args.search.search(&self.places)?;
        let (value, events) = (args.value()?, self.printer.events());
        let roles = commands::set::set(&self.places, &search, property, &change, &value, &events)?;
        let text = format!("`{}` of {}", property.name, human::roles(&roles));
        self.show_status("Set", text);
        Ok(Exit::Success)
    }

    pub(super) async fn edit(&self, args: &EditArgs) -> Result<Exit, Error> {
        let Settable { property, change } = args.property;
        let role = args.role.parse()?;
        let (mut interrupts, events) = (self.interrupts()?, self.printer.events());
        let edited = commands::edit::edit(
            &self.places,
            property,
            &change,
            &role,
            &mut interrupts,
            &events,
        )
        .await?;
        let verb = match edited {
            commands::edit::Outcome::Set => "Set",
            commands::edit::Outcome::Unchanged => "Left",
        };
        self.show_status(verb, format!("`{}` of role `{role}`", property.name));
        Ok(Exit::Success)
    }
}
