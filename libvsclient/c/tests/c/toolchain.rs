// SPDX-License-Identifier: Apache-2.0
//! From C to a program that runs: the library is linked once, as `make install` does it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use system_tests::Rig;

/// A file of this package.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The folder with `libvsclient.so.1`.
pub fn library() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let archive = newest("libvsclient_c", "a");
        let folder = scratch("lib");
        run(Command::new(source("link")).arg(archive).arg(&folder));
        folder
    });
    &FOLDER
}

/// The static library that cargo has built for this test, beside it. There may be others: of other features,
/// or of another day.
fn newest(stem: &str, extension: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let files = fs::read_dir(test.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let ours = files.filter(|path| path.extension().is_some_and(|it| it == extension));
    let ours = ours.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(stem));
    ours.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap()
}

/// A folder for what is made here, which `cargo clean` removes.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libvsclient-c").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Compiles a C or C++ program, and links it with the library.
pub fn compile(source_file: &Path) -> PathBuf {
    let name = source_file.file_name().unwrap().to_str().unwrap();
    let (compiler, standard) = if name.ends_with(".cpp") { ("c++", "-std=c++17") } else { ("cc", "-std=c11") };
    let program = scratch("programs").join(name.replace('.', "-"));
    let library = library();
    run(Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-O1", "-D_GNU_SOURCE", "-pthread"])
        .arg(source_file)
        .arg("-I")
        .arg(source("include"))
        .arg("-L")
        .arg(library)
        .arg("-lvsclient")
        .arg(format!("-Wl,-rpath,{}", library.display()))
        .arg("-o")
        .arg(&program));
    program
}

/// Writes a C program and compiles it.
pub fn compile_text(name: &str, text: &str) -> PathBuf {
    let path = scratch("sources").join(name);
    fs::write(&path, text).unwrap();
    compile(&path)
}

/// A program that meets this daemon and no other.
pub fn against(rig: &Rig, program: &Path) -> Command {
    surrounded(rig, Command::new(program))
}

/// As [`against`], under valgrind.
pub fn under_valgrind(rig: &Rig, program: &Path) -> Command {
    surrounded(rig, valgrind(program))
}

/// A program under valgrind, which fails at any error and at any leak. Without valgrind it is the program
/// alone.
pub fn valgrind(program: &Path) -> Command {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("valgrind is not installed (`scripts/setup test` does it): {} runs without", program.display());
        return Command::new(program);
    }
    let mut command = Command::new("valgrind");
    // What ends with the process, such as the memory of a thread that has not ended yet, is no leak.
    command.args(["-q", "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect"]);
    command.args(["--show-leak-kinds=definite,indirect", "--fair-sched=yes"]).arg(program);
    command
}

fn surrounded(rig: &Rig, mut command: Command) -> Command {
    command.env("VIDEOSTREAM_DIR", &rig.place().socket_dir).env("VIDEOSTREAM_BUS", &rig.place().bus);
    command
}

/// Runs a program that must succeed; what it wrote to standard output.
pub fn run(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout.into_owned()
}
