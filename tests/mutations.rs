//! Breaks the library's synchronisation on purpose, one line at a time, and expects the models to notice.
//!
//! What is broken is listed in `mutations.txt`, with the models that must fail then; its head tells the form. Each
//! mutation is made in a copy of the source. One that does not apply any more, or does not compile, fails the test, and so
//! does a model that fails without it; so the list cannot rot. Each model must be in it: one that cannot fail proves
//! nothing. All this takes long, and is done by `make check-mutations`, which sets `IOQ_MUTATE`. Without that, they need
//! only apply.

use libtest_mimic::{Arguments, Failed, Trial};
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::sync::{Arc, OnceLock};

/// What the models of either kind run under: a cfg is named after each.
const TOOLS: [&str; 2] = ["loom", "shuttle"];

/// In how many interleavings shuttle's models are to notice a mutation.
const ITERATIONS: &str = "10000";

/// And of how many seeds.
const SEEDS: Range<u64> = 1..9;

/// What of the package is copied.
const COPIED: [&str; 5] = ["Cargo.toml", "Cargo.lock", "src", "tests", "benches"];

/// A deliberate mistake.
#[derive(Clone)]
struct Mutation {
    name: String,
    file: PathBuf,
    /// A line after which, somewhere, the mutated one comes.
    after: String,
    before: String,
    replacement: String,
    /// The models that notice, and their tools.
    models: Vec<(String, String)>,
}

fn main() -> ExitCode {
    let mut args = Arguments::from_args();
    // They share the copy.
    args.test_threads = Some(1);
    let mut mutations = parse(include_str!("mutations.txt"));
    if env::var_os("IOQ_MUTATE").is_none() {
        let all_apply = move || mutations.iter().try_for_each(Mutation::check);
        return libtest_mimic::run(&args, vec![Trial::test("each mutation applies", all_apply)]).exit_code();
    }
    let listed: BTreeSet<_> = mutations.iter().flat_map(|mutation| mutation.models.iter().cloned()).collect();
    let chosen = args.filter.as_deref().unwrap_or_default();
    mutations.retain(|mutation| mutation.name.contains(chosen));
    let copy = Arc::new(Copy::new(&mutations));
    let trial = |mutation: Mutation| {
        let copy = copy.clone();
        Trial::test(mutation.name.clone(), move || copy.try_out(&mutation))
    };
    let complete = {
        let copy = copy.clone();
        Trial::test("each model notices something", move || Ok(copy.check_list(&listed)?))
    };
    libtest_mimic::run(&args, mutations.into_iter().map(trial).chain([complete]).collect()).exit_code()
}

/// Reads the list.
fn parse(list: &str) -> Vec<Mutation> {
    let records = list.split("\n\n").map(|record| record.lines().filter(|line| !line.starts_with('#')).collect());
    records.filter(|lines: &Vec<_>| !lines.is_empty()).map(|lines| parse_record(&lines)).collect()
}

fn parse_record(lines: &[&str]) -> Mutation {
    let [name, place, before, replacement, models @ ..] = lines else { panic!("too short: {lines:?}") };
    let (file, after) = place.strip_prefix("in ").and_then(|p| p.split_once(": ")).expect("in FILE: LINE");
    let models = models.iter().map(|line| line.split_once(' ').expect("TOOL MODEL"));
    Mutation {
        name: name.to_string(),
        file: file.into(),
        after: after.into(),
        before: before.strip_prefix('-').expect("- LINE").trim().into(),
        replacement: replacement.strip_prefix('+').expect("+ LINE").trim().into(),
        models: models.map(|(tool, model)| (tool.into(), model.into())).collect(),
    }
}

/// A copy of the package, to be mutated.
struct Copy {
    dir: PathBuf,
    /// All models that are named.
    models: BTreeSet<(String, String)>,
    /// Whether they pass as long as nothing is mutated.
    sound: OnceLock<Result<(), String>>,
}

impl Copy {
    fn new(mutations: &[Mutation]) -> Self {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutations");
        let models = mutations.iter().flat_map(|mutation| mutation.models.iter().cloned()).collect();
        Self { dir, models, sound: OnceLock::new() }
    }

    /// Makes a mutation, sees each of its models fail, and undoes it.
    fn try_out(&self, mutation: &Mutation) -> Result<(), Failed> {
        self.sound.get_or_init(|| self.check_original()).clone()?;
        let file = self.dir.join(&mutation.file);
        let original = fs::read_to_string(&file)?;
        fs::write(&file, mutation.apply(&original)?)?;
        let mut result = mutation.models.iter().try_for_each(|(tool, model)| match self.notices(tool, model)? {
            true => Ok(()),
            false => Err(format!("{tool} {model} does not notice")),
        });
        if mutation.models.is_empty() {
            result = Err("no model is to notice".into());
        }
        fs::write(&file, original)?;
        Ok(result?)
    }

    fn check_original(&self) -> Result<(), String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::create_dir_all(&self.dir).map_err(|e| format!("{}: {e}", self.dir.display()))?;
        for name in COPIED {
            copy(&root.join(name), &self.dir.join(name)).map_err(|e| format!("{name}: {e}"))?;
        }
        for tool in TOOLS {
            let models = self.models.iter().filter(|(named, _)| named == tool).map(|(_, model)| model.as_str());
            let models: Vec<_> = models.collect();
            if models.is_empty() {
                continue;
            }
            let run = self.test(tool, SEEDS.start, &[&["--exact"], &models[..]].concat())?;
            if !run.status.success() {
                return Err(format!("{tool}: some fail as it is\n{}", String::from_utf8_lossy(&run.stdout)));
            }
        }
        Ok(())
    }

    /// Whether every model that there is notices some mutation.
    fn check_list(&self, listed: &BTreeSet<(String, String)>) -> Result<(), String> {
        self.sound.get_or_init(|| self.check_original()).clone()?;
        for tool in TOOLS {
            let output = self.test(tool, SEEDS.start, &["--list"])?;
            let list = String::from_utf8_lossy(&output.stdout);
            let models = list.lines().filter_map(|line| line.strip_suffix(": test")).filter(|n| n.contains("models::"));
            let models: BTreeSet<_> = models.map(|model| (tool.into(), model.into())).collect();
            if models.is_empty() {
                return Err(format!("{tool}: no models"));
            }
            let missing: Vec<_> = models.difference(listed).map(|(_, model)| model.as_str()).collect();
            if !missing.is_empty() {
                return Err(format!("{tool}: nothing shows that these can fail: {}", missing.join(", ")));
            }
        }
        Ok(())
    }

    /// Builds the models, and sees whether one of them fails: if it takes interleavings at random, in those of any of
    /// some seeds. What is met rarely, another seed meets whenever the code changes.
    fn notices(&self, tool: &str, model: &str) -> Result<bool, String> {
        let seeds = if tool == "shuttle" { SEEDS } else { 1..2 };
        for seed in seeds {
            let run = self.test(tool, seed, &["--exact", model])?;
            if !String::from_utf8_lossy(&run.stdout).contains("running 1 test\n") {
                return Err(format!("{tool} {model}: no such model"));
            }
            if !run.status.success() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Builds the models, and runs the program with these arguments.
    fn test(&self, tool: &str, seed: u64, arguments: &[&str]) -> Result<Output, String> {
        let cargo = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO"));
            command.args(["test", "--locked", "--profile", "models", "--lib", "--target-dir"]);
            // Not where `make check-loom` builds: to Cargo, a copy of a package in the same directory is the same package.
            command.arg(self.dir.with_file_name(format!("mutations-{tool}"))).args(arguments).current_dir(&self.dir);
            command.env("RUSTFLAGS", format!("--cfg ioq_{tool}")).env("IOQ_ITERATIONS", ITERATIONS);
            // The first are those of the models themselves.
            if seed > SEEDS.start {
                command.env("SHUTTLE_RANDOM_SEED", seed.to_string());
            }
            command.output().map_err(|e| format!("cargo: {e}"))
        };
        let build = cargo(&["--no-run"])?;
        if !build.status.success() {
            return Err(String::from_utf8_lossy(&build.stderr).into());
        }
        cargo(&[&["--"], arguments].concat())
    }
}

impl Mutation {
    /// Whether it applies.
    fn check(&self) -> Result<(), Failed> {
        let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&self.file))?;
        Ok(self.apply(&source).map(drop).map_err(|e| format!("{}: {e}", self.name))?)
    }

    /// The file's text with the mutation.
    fn apply(&self, text: &str) -> Result<String, String> {
        let mut lines: Vec<_> = text.lines().collect();
        let matches = |line: &&str, wanted: &str| line.trim() == wanted;
        let start = lines.iter().position(|line| matches(line, &self.after));
        let start = start.ok_or(format!("{} has no line \"{}\"", self.file.display(), self.after))?;
        let at = lines[start..].iter().position(|line| matches(line, &self.before));
        let at = at.ok_or(format!("no line \"{}\" after \"{}\"", self.before, self.after))?;
        lines[start + at] = &self.replacement;
        Ok(lines.join("\n") + "\n")
    }
}

/// Copies a file or a directory. Files that are the same already stay as they are, for Cargo's sake.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
    } else {
        let content = fs::read(from)?;
        if fs::read(to).ok().as_ref() != Some(&content) {
            fs::write(to, content)?;
        }
    }
    Ok(())
}
