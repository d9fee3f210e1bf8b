//! Writes the committed corpus anew: `cargo run --example corpus` in `fuzz/`. Inputs that a fuzzer found and that were added by hand stay.

mod config;
mod esp_datagram;
mod ike_datagram;
mod ikev1_datagram;
mod ikev1_session;
mod multibuffer;
mod offload;
mod session;

use std::{fs, io, path::Path};

/// Name and octets of one input.
type Input = (&'static str, Vec<u8>);

fn main() -> io::Result<()> {
    write("ike_datagram", ike_datagram::inputs())?;
    write("esp_datagram", esp_datagram::inputs())?;
    write("session", session::inputs())?;
    write("ikev1_datagram", ikev1_datagram::inputs())?;
    write("ikev1_session", ikev1_session::inputs())?;
    write("multibuffer", multibuffer::inputs())?;
    write("offload", offload::inputs())?;
    write("config", config::inputs())
}

fn write(target: &str, inputs: Vec<Input>) -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&directory)?;
    for (name, octets) in &inputs {
        fs::write(directory.join(name), octets)?;
    }
    println!("{target}: {} inputs", inputs.len());
    Ok(())
}
