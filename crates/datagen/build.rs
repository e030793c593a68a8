//! The project in the binary is the one in the folder.

fn main() {
    println!("cargo:rerun-if-changed=../../jobs/retail");
}
