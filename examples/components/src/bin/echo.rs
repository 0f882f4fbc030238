//! A server with a `main`, arguments and a runtime of its own, in which one line
//! makes a component.

use std::error::Error;
use std::process::ExitCode;

use tokio::io::{copy, split};
use tokio::net::TcpListener;

fn main() -> ExitCode {
    ansar_runtime::wrap(real_main)
}

#[tokio::main(flavor = "current_thread")]
async fn real_main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("expected an address")?;
    let listener = TcpListener::bind(address).await?;
    println!("Listening on {}", listener.local_addr()?);
    ansar_runtime::ready();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                tokio::spawn(async move {
                    let (mut reader, mut writer) = split(stream);
                    copy(&mut reader, &mut writer).await
                });
            }
            () = ansar_runtime::stopped() => return Ok(()),
        }
    }
}
