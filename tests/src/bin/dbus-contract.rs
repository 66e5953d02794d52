// SPDX-License-Identifier: Apache-2.0
//! Compares the objects of a running daemon with the interfaces in `dbus/`, both ways.
//!
//! ```text
//! dbus-contract system|session|ADDRESS INTERFACE...
//! ```
//!
//! The interfaces named (`Device`, `Stream`) must be among those found. For machines with
//! devices: the tests of this package have none.

use std::process::ExitCode;

use system_tests::contract;
use vsclient::dbus::SERVICE;
use zbus::connection::Builder;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(bus) = arguments.next() else {
        eprintln!("usage: dbus-contract system|session|ADDRESS INTERFACE...");
        return ExitCode::from(2);
    };
    match compare(&bus, &arguments.collect::<Vec<_>>()) {
        Ok(found) if found.is_empty() => ExitCode::SUCCESS,
        Ok(found) => {
            found.iter().for_each(|difference| println!("{difference}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("dbus-contract: cannot ask the daemon on the {bus} bus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(bus: &str, wanted: &[String]) -> zbus::Result<Vec<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let kept = runtime.block_on(async {
        let builder = match bus {
            "system" => Builder::system(),
            "session" => Builder::session(),
            address => Builder::address(address),
        };
        contract::kept(&builder?.build().await?).await
    })?;
    let mut found = contract::differences(&contract::promised(), &kept);
    let missing = wanted.iter().filter(|name| !kept.contains_key(&format!("{SERVICE}.{name}")));
    found.extend(missing.map(|name| format!("no object has the interface {SERVICE}.{name}")));
    Ok(found)
}
