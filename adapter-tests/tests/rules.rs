//! Checks of the page of rules: every cited rule exists, every rule has a test, every link has a target. Checks of all pages:
//! every link to a page or to a section has a target, and every page in `docs/` is linked from another page.
//!
//! A citation is a chapter letter and one or two digits as a word, in any Rust file or page. A test proves a rule when
//! its name begins with the rule's number in lower case.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The page of rules, from the root of the repository.
const PAGE: &str = "docs/rules.md";

/// The letters that rules begin with.
const CHAPTERS: &str = "DECOHTSKPAULRX";

/// Folders that hold build results and test data.
const SKIPPED_FOLDERS: [&str; 5] = ["target", "corpus", "artifacts", "node_modules", "venv"];

/// A file of the repository.
struct Source {
    path: String,
    text: String,
}

/// A text and its place in a file.
struct Found {
    place: String,
    what: String,
}

#[test]
fn every_cited_rule_exists() {
    let sources = sources();
    let rules = rules(&sources);
    let cited = sources.iter().flat_map(citations).chain(tested_rules(&sources));
    let unknown = cited.filter(|cited| !rules.contains_key(&cited.what));
    assert_none(unknown, "is cited and is not a rule of docs/rules.md");
}

#[test]
fn every_rule_has_a_test() {
    let sources = sources();
    let tested: BTreeSet<String> = tested_rules(&sources).map(|test| test.what).collect();
    let untested = rules(&sources).into_iter().filter(|(rule, _)| !tested.contains(rule));
    let untested = untested.map(|(what, place)| Found { place, what });
    assert_none(untested, "has no test whose name begins with it");
}

#[test]
fn every_heading_of_a_rule_has_its_anchor() {
    let sources = sources();
    let headings = lines(page(&sources)).filter(|(_, line)| line.starts_with("### "));
    let wrong = headings.filter(|(_, line)| rule_of_heading(line).is_none());
    let wrong = wrong.map(|(place, line)| Found { place, what: line.to_owned() });
    assert_none(wrong, "is not of the form `### <a id=\"d1\"></a>D1: …`");
}

#[test]
fn anchors_are_unique() {
    let sources = sources();
    let mut seen = BTreeSet::new();
    let repeated = anchors(page(&sources)).filter(|anchor| !seen.insert(anchor.what.clone()));
    assert_none(repeated, "is a repeated anchor");
}

#[test]
fn every_link_to_a_rule_has_a_target() {
    let sources = sources();
    let known: BTreeSet<String> = anchors(page(&sources)).map(|anchor| anchor.what).collect();
    let dead = sources.iter().flat_map(links).filter(|link| !known.contains(&link.what));
    assert_none(dead, "is not an anchor of docs/rules.md");
}

#[test]
fn every_page_is_linked_from_another_page() {
    let sources = sources();
    let from_others = |source| page_links(source).into_iter().filter(|link| link.page != source.path);
    let linked: BTreeSet<String> = sources.iter().flat_map(from_others).map(|link| link.page).collect();
    let pages = sources.iter().filter(|source| is_page(source) && source.path.starts_with("docs/"));
    let unlinked = pages.filter(|source| !linked.contains(&source.path));
    let unlinked = unlinked.map(|source| Found { place: source.path.clone(), what: "the page".into() });
    assert_none(unlinked, "has no link from another page");
}

#[test]
fn every_link_between_pages_has_a_target() {
    let sources = sources();
    let pages = sources.iter().filter(|source| is_page(source));
    let targets: BTreeMap<&str, BTreeSet<String>> =
        pages.map(|source| (source.path.as_str(), sections(source))).collect();
    let dead = sources.iter().flat_map(page_links).filter(|link| {
        let sections = targets.get(link.page.as_str());
        sections.is_none_or(|sections| !link.section.is_empty() && !sections.contains(&link.section))
    });
    let dead = dead.map(|link| Found { place: link.place, what: format!("{}#{}", link.page, link.section) });
    assert_none(dead, "is not a page or section of this repository");
}

#[test]
fn a_section_has_the_anchor_that_a_forge_gives_it() {
    let text = "# First steps, with `axum`\n## <a id=\"x\"></a>Six connections, and HTTP/2\ntext";
    let found = sections(&Source { path: "page.md".into(), text: text.into() });
    assert_eq!(found, ["first-steps-with-axum", "six-connections-and-http2", "x"].map(str::to_owned).into());
}

#[test]
fn a_citation_is_a_whole_word() {
    let cited = |text: &str| {
        let source = Source { path: "page.md".into(), text: text.into() };
        citations(&source).map(|found| format!("{} {}", found.place, found.what)).collect::<Vec<_>>()
    };
    assert_eq!(
        cited("by S3\nand (H4, X2), **D1**."),
        ["page.md:1 S3", "page.md:2 H4", "page.md:2 X2", "page.md:2 D1"]
    );
    assert_eq!(cited("D1 to D9; `E5`"), ["page.md:1 D1", "page.md:1 D9", "page.md:1 E5"]);
    // Error codes of the compiler, other words, percent encodings, escapes, code points, other letters.
    assert!(
        cited("E0515 E515 HS3 S3s S_3 _S3 S3_ gr%C3%BCn \\xC3 \\C3 U+A0 0xA1 0xE9 #A1 G1 s3 S").is_empty()
    );
}

#[test]
fn a_test_name_begins_with_its_rule() {
    let text = "#[test]\nfn d1_x() {}\n#[tokio::test(start_paused = true)]\n// Why.\nasync fn x2_y() {}\n\
                fn h1_helper() {}\n#[cfg(test)]\nmod tests {\n#[test]\nfn about_k1() {}\n#[test]\nfn t4x_z() {}";
    let sources = [Source { path: "a.rs".into(), text: text.into() }];
    let found: Vec<_> = tested_rules(&sources).map(|test| (test.place, test.what)).collect();
    assert_eq!(found, [("a.rs:2".into(), "D1".into()), ("a.rs:5".into(), "X2".into())]);
}

/// Fails the test if anything was found, with one line for each finding.
fn assert_none(found: impl Iterator<Item = Found>, problem: &str) {
    let report: Vec<_> = found.map(|Found { place, what }| format!("{place}: {what} {problem}")).collect();
    assert!(report.is_empty(), "\n{}\n", report.join("\n"));
}

/// Reads the Rust files and Markdown pages of the repository.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut paths = Vec::new();
    collect_paths(&root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let inside = path.strip_prefix(&root).expect("the path is below the root");
        Source { path: inside.display().to_string().replace('\\', "/"), text }
    };
    paths.into_iter().map(read).collect()
}

fn collect_paths(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if entry.file_type().expect("a type").is_dir() {
            let is_hidden = name.starts_with('.') && name != ".ci";
            if !is_hidden && !SKIPPED_FOLDERS.contains(&name.as_str()) {
                collect_paths(&path, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            paths.push(path);
        }
    }
}

fn page(sources: &[Source]) -> &Source {
    sources.iter().find(|source| source.path == PAGE).expect("the page of rules")
}

/// Returns the lines of a file with their places.
fn lines(source: &Source) -> impl Iterator<Item = (String, &str)> {
    source.text.lines().enumerate().map(|(index, line)| (format!("{}:{}", source.path, index + 1), line))
}

/// Returns the rules of the page with their places.
fn rules(sources: &[Source]) -> BTreeMap<String, String> {
    let rules = lines(page(sources)).filter_map(|(place, line)| Some((rule_of_heading(line)?, place)));
    let rules: BTreeMap<_, _> = rules.collect();
    assert!(!rules.is_empty(), "{PAGE} has no rules");
    rules
}

/// Returns `D1` for `### <a id="d1"></a>D1: Any order of calls is legal`.
fn rule_of_heading(line: &str) -> Option<String> {
    let (anchor, heading) = line.strip_prefix("### <a id=\"")?.split_once("\"></a>")?;
    let (rule, _) = heading.split_once(": ")?;
    (is_rule(rule) && rule.to_lowercase() == anchor).then(|| rule.to_owned())
}

/// Returns whether a word has the form of a rule number.
fn is_rule(word: &str) -> bool {
    let Some(number) = word.strip_prefix(|letter| CHAPTERS.contains(letter)) else { return false };
    (1..=2).contains(&number.len()) && number.bytes().all(|digit| digit.is_ascii_digit())
}

/// Returns the rules that a file cites.
fn citations(source: &Source) -> impl Iterator<Item = Found> {
    let is_part = |letter: char| letter.is_alphanumeric() || "_%\\+#".contains(letter);
    lines(source).flat_map(move |(place, line)| {
        let words = line.split(move |letter| !is_part(letter)).filter(|word| is_rule(word));
        words.map(move |word| Found { place: place.clone(), what: word.to_owned() })
    })
}

/// Returns the rules with which names of tests begin.
fn tested_rules(sources: &[Source]) -> impl Iterator<Item = Found> {
    let rust = sources.iter().filter(|source| source.path.ends_with(".rs"));
    rust.flat_map(test_names).filter_map(|test| {
        let (front, _) = test.what.split_once('_')?;
        let rule = Some(front.to_uppercase()).filter(|rule| is_rule(rule) && *rule != front)?;
        Some(Found { place: test.place, what: rule })
    })
}

/// Returns the functions of a file that have a test attribute.
fn test_names(source: &Source) -> Vec<Found> {
    let (mut tests, mut is_test) = (Vec::new(), false);
    for (place, line) in lines(source) {
        let line = line.trim_start();
        is_test |= line.starts_with("#[test]") || is_attribute_of_runtime(line);
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some((name, _)) = name.and_then(|name| name.split_once('('))
            && std::mem::take(&mut is_test)
        {
            tests.push(Found { place, what: name.to_owned() });
        }
    }
    tests
}

/// Returns whether a line is an attribute such as `#[tokio::test]`, with or without arguments.
fn is_attribute_of_runtime(line: &str) -> bool {
    line.starts_with("#[") && (line.contains("::test]") || line.contains("::test("))
}

/// Returns the anchors of the page.
fn anchors(page: &Source) -> impl Iterator<Item = Found> {
    parts_after(page, "<a id=\"", '"')
}

/// Returns the anchors of the page of rules to which a file links.
fn links(source: &Source) -> Vec<Found> {
    let mut links: Vec<_> = parts_after(source, concat!("rules.md", "#"), ')').collect();
    if source.path == PAGE {
        links.extend(parts_after(source, "](#", ')'));
    }
    // In prose, a link can end with any other character.
    for link in &mut links {
        let end = link.what.find(|letter: char| !letter.is_alphanumeric() && letter != '-');
        link.what.truncate(end.unwrap_or(link.what.len()));
    }
    links
}

/// Returns the text behind each `start` in a file, up to `end` or to the end of the line.
fn parts_after(source: &Source, start: &'static str, end: char) -> impl Iterator<Item = Found> {
    lines(source).flat_map(move |(place, line)| {
        let parts = line.split(start).skip(1).map(move |part| part.split(end).next().unwrap_or_default());
        parts.map(move |part| Found { place: place.clone(), what: part.to_owned() })
    })
}

/// A link to a section of a page. The section is empty if the link is to the whole page.
struct PageLink {
    place: String,
    page: String,
    section: String,
}

fn is_page(source: &Source) -> bool {
    source.path.ends_with(".md")
}

/// Returns the links of a page to pages and their sections.
fn page_links(source: &Source) -> Vec<PageLink> {
    if !is_page(source) {
        return Vec::new();
    }
    let links = parts_after(source, "](", ')').filter(|link| !link.what.contains("://"));
    let links = links.filter_map(|link| {
        let (path, section) = link.what.split_once('#').unwrap_or((&link.what, ""));
        let is_to_page = path.ends_with(".md") || path.is_empty() && !section.is_empty();
        let page = if path.is_empty() { source.path.clone() } else { resolved(&source.path, path) };
        is_to_page.then(|| PageLink { place: link.place.clone(), page, section: section.to_owned() })
    });
    links.collect()
}

/// Returns a path that is relative to a file, from the root of the repository.
fn resolved(file: &str, path: &str) -> String {
    let mut parts: Vec<_> = file.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the anchors of the sections of a page, explicit ones included.
fn sections(page: &Source) -> BTreeSet<String> {
    let headings = page.text.lines().filter(|line| line.starts_with('#'));
    let names = headings.map(|line| {
        let title = line.rsplit("</a>").next().unwrap_or(line).trim_start_matches('#').trim();
        let letters = title.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        letters.collect::<String>().to_lowercase().replace(' ', "-")
    });
    names.chain(anchors(page).map(|anchor| anchor.what)).collect()
}
