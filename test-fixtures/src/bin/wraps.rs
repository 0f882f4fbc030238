//! An application with a `main` of its own, a parser of its own and a runtime of its own.

use std::process::ExitCode;

use tokio::net::TcpListener;

fn main() -> ExitCode {
    ansar_runtime::wrap(real_main)
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "applications print"
)]
fn real_main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    eprintln!("Arguments: {arguments:?}");
    match arguments.first().map(String::as_str) {
        Some("serve") => serve(&arguments[1], true),
        Some("hear") => serve(&arguments[1], false),
        Some("fail") => Err(format!("cannot {}\nfor a reason", arguments[1])),
        Some("panic") => panic!("this application panics"),
        Some("check") => {
            let cx = ansar_runtime::context();
            println!("In the role {:?}", cx.role());
            cx.test_eq(arguments.len(), 1);
            cx.test(false, "a check of an application");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Serves until it is asked to stop; if it does not ask for that, until it is killed.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "applications print"
)]
#[tokio::main(flavor = "current_thread")]
async fn serve(address: &str, asks: bool) -> Result<(), String> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|error| format!("{address}: {error}"))?;
    eprintln!("Listening");
    ansar_runtime::ready();
    let accept = async {
        loop {
            let _ = listener.accept().await;
        }
    };
    if !asks {
        return accept.await;
    }
    tokio::select! {
        result = accept => result,
        () = ansar_runtime::stopped() => {
            println!("Stopped gracefully");
            Ok(())
        }
    }
}
