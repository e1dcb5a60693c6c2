//! Finds the built web UI for embedding. Without one, a page that says how to build it is embedded instead,
//! so that the crate compiles on a fresh clone.

use std::{error::Error, fs, path::PathBuf};

const PLACEHOLDER: &str = "<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>Orrery</title></head>
<body>
<h1>The web UI is not part of this build</h1>
<p>Build it with <code>npm ci &amp;&amp; npm run build</code> in <code>ui/</code>, then build the binary again;
<code>make run</code> does both. The HTTP APIs work without it.</p>
</body>
</html>
";

fn main() -> Result<(), Box<dyn Error>> {
    let dist = PathBuf::from(std::env::var_os("ORRERY_CHECKOUT").ok_or(
        "ORRERY_CHECKOUT is not set: run cargo inside the checkout, where it reads .cargo/config.toml",
    )?)
    .join("ui/dist");
    // A path that does not exist would make cargo run this script on every build.
    fs::create_dir_all(&dist)?;
    // Two clones may share a target directory.
    println!("cargo::rerun-if-env-changed=ORRERY_CHECKOUT");
    println!("cargo::rerun-if-changed={}", dist.display());
    println!("cargo::rerun-if-changed=build.rs");
    let folder = if dist.join("index.html").is_file() {
        dist.canonicalize()?
    } else {
        let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("ui");
        fs::create_dir_all(&out)?;
        fs::write(out.join("index.html"), PLACEHOLDER)?;
        out
    };
    println!("cargo::rustc-env=ORRERY_UI_DIST={}", folder.display());
    Ok(())
}
