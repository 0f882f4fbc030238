//! `ui`: the live user interface.

use std::ffi::OsString;
use std::pin::pin;

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::{Session, failed};
use crate::error::Error;
use crate::host::environment;
use crate::host::terminal::screen;
use crate::report::shell::is_colored;
use crate::ui::terminal;
use crate::ui::web::Site;

/// Arguments of `ui`.
#[derive(Debug, Args)]
#[command(after_help = "Press ? for the keys. Roles keep running when it ends.")]
pub struct UiArgs {
    /// Serve a page for a browser of this machine, and print its link
    #[arg(long)]
    web: bool,
    /// Port of the page [default: any free one]
    #[arg(
        long,
        value_name = "PORT",
        requires = "web",
        default_value_t = 0,
        hide_default_value = true
    )]
    port: u16,
}

impl UiArgs {
    /// Returns true if the interface is drawn on the terminal.
    pub(super) fn takes_screen(&self) -> bool {
        !self.web
    }
}

/// Lets another process of this program wait for this one, which draws on the
/// whole screen, and restore the terminal after it; returns the exit code in
/// that process. Does nothing without a terminal.
pub(super) fn keep_screen() -> Result<Option<u8>, std::io::Error> {
    if screen::is_possible() {
        screen::split().map_err(failed("start the interface"))
    } else {
        Ok(None)
    }
}

impl Session<'_> {
    pub(super) async fn ui(&self, args: &UiArgs) -> Result<Exit, Error> {
        if args.web {
            return self.web(args.port).await;
        }
        self.interface(None).await
    }

    /// Shows the terminal interface, with this command below it, if there is one.
    pub(super) async fn interface(&self, watch: Option<Vec<OsString>>) -> Result<Exit, Error> {
        let options = terminal::Options {
            colors: is_colored(),
            watch,
        };
        let interrupt = terminal::show(&self.places, &options).await?;
        Ok(interrupt.map_or(Exit::Success, Exit::Interrupted))
    }

    /// Serves pages until it is interrupted. Prints a link whenever the one
    /// before was used.
    async fn web(&self, port: u16) -> Result<Exit, Error> {
        let mut interrupts = self.interrupts()?;
        let mut site = Site::open(&self.places, port).await?;
        let mut link = site.link();
        self.show_status(
            "Serving",
            "until Control-C; a link opens one page".to_owned(),
        );
        let interrupt = {
            // Dropped, it would close the pages.
            let mut serving = pin!(site.serve());
            loop {
                let text = link.borrow_and_update().clone();
                self.printer.show(move |shell| {
                    shell.data(&text);
                    shell.flush();
                });
                tokio::select! {
                    interrupt = interrupts.next() => break interrupt,
                    _ = link.changed() => {}
                    () = &mut serving => {}
                }
                self.show_status("Opened", "the page; the next link opens another".to_owned());
            }
        };
        site.finish().await;
        Ok(Exit::Interrupted(interrupt))
    }
}

/// Returns the arguments of this `watch --ui`, for the command below the interface.
pub(super) fn attached() -> Vec<OsString> {
    let mut arguments = environment::arguments();
    arguments.remove(0);
    if let Some(flag) = arguments.iter_mut().find(|it| *it == "--ui") {
        *flag = "--attached".into();
    }
    arguments
}
