// SPDX-License-Identifier: Apache-2.0
//! The Tab key, in the shells themselves: it knows what the running daemon has, and is silent where there is none.

use std::os::unix::net::UnixListener;
use std::process::Command;

use system_tests::process::{End, Process};
use system_tests::{Rig, binaries};

const CONFIG: &str = "\
[stream.door]
pattern = \"bars\"
size = \"320x240\"

[stream.garden]
pattern = \"bars\"

[recording.garage]
stream = \"door\"
enabled = false
";

/// What each shell runs: it loads the script as a user does, and prints what it would offer behind each of the lines in $LINES,
/// a candidate a line. `$1` is a line.
const BASH: &str = r#"
source <(vsctl completions bash)
COMP_WORDS=($1 "${2-}") COMP_TYPE=9
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
$(complete -p vsctl | sed 's/.*-F \([^ ]*\).*/\1/') vsctl "$2" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

const FISH: &str = r#"
vsctl completions fish | source
complete -C "$argv[1] $argv[2]" | string replace -r '\t.*' ''; true
"#;

/// zsh completes in its line editor only, which wants a terminal: one inside of the other. What comes of the word is
/// printed: it stays as it is if nothing, or more than one thing, fits.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "PS1= PROMPT_EOL_MARK= ; unsetopt prompt_sp; autoload -U compinit; compinit -D -u; source <(vsctl completions zsh)"
zpty -w inner "show() { print -r -- \"<<\$BUFFER>>\"; zle kill-buffer }; zle -N show; bindkey '^X' show; print -r -- \"rea\"\"dy\""
zpty -r inner said '*ready*'
zpty -n -w inner "$1 ${2-}"$'\t'$'\x18'
zpty -r inner said $'*<<*>>*'
print -r -- "${${=${${said##*<<}%%>>*}}[-1]}"
zpty -d inner
"#;

/// What a shell offers behind `line`, where `begun` is what there is of the word.
fn offers(shell: &str, bus: &str, line: &str, begun: &str) -> Vec<String> {
    let script = match shell {
        "bash" => BASH,
        "fish" => FISH,
        _ => ZSH,
    };
    let without_startup = match shell {
        "bash" => "--norc",
        "fish" => "--no-config",
        _ => "-f",
    };
    let programs = binaries::path("vsctl");
    let path = format!("{}:{}", programs.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(shell);
    // One after `-c` is $0, except of fish.
    let name: &[&str] = if shell == "fish" { &[] } else { &["test"] };
    command.args([without_startup, "-c", script]).args(name).args([line, begun]);
    command.env("PATH", path).env("VIDEOSTREAM_BUS", bus).env("TERM", "dumb");
    let mut process = Process::start(&format!("{shell} (`scripts/setup test` installs it)"), &mut command);
    assert_eq!(process.wait(), End::Exit(0), "{shell}: {}", process.stderr);
    assert_eq!(process.stderr.to_string(), "", "{shell} complains");
    let said = process.stdout.to_string();
    said.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty() && line != begun).collect()
}

const SHELLS: [&str; 3] = ["bash", "fish", "zsh"];

#[test]
fn all_shells_know_what_the_daemon_has() {
    let rig = Rig::start(CONFIG);
    let bus = &rig.place().bus;
    for shell in SHELLS {
        let offers = |line: &str, begun: &str| offers(shell, bus, line, begun);
        assert_eq!(offers("vsctl receive", "d"), ["door"], "{shell}");
        // Where there is one thing only it is there at once, and no option beside it.
        assert_eq!(offers("vsctl start-recording", ""), ["garage"], "{shell}");
        assert_eq!(offers("vsctl stop-recording", "g"), ["garage"], "{shell}");
        assert_eq!(offers("vsctl start-stream small --from", "ga"), ["garden"], "{shell}");
        assert_eq!(offers("vsctl", "rece"), ["receive"], "{shell}");
        assert_eq!(offers("vsctl record door out.mp4", "--det"), ["--detach"], "{shell}");
        assert_eq!(offers("vsctl record door out.mp4 --rate-control", "c"), ["cbr"], "{shell}");
        // What is understood only for the sake of old fingers is not offered.
        assert_eq!(offers("vsctl start-stream door", "--resol"), [""; 0], "{shell}");
    }
}

#[test]
fn without_a_daemon_there_is_silence() {
    let directory = tempfile::tempdir().unwrap();
    let nobody = format!("unix:path={}", directory.path().join("nowhere").display());
    // A bus that says nothing must not hold up the shell either.
    let path = directory.path().join("mute");
    let _listener = UnixListener::bind(&path).unwrap();
    let mute = format!("unix:path={}", path.display());
    for shell in SHELLS {
        for bus in [&nobody, &mute] {
            assert_eq!(offers(shell, bus, "vsctl receive", "d"), [""; 0], "{shell}");
            assert_eq!(offers(shell, bus, "vsctl receive", "--fr"), ["--frames"], "{shell}");
        }
    }
}
