//! The README as a page, so that the demo can link to its sections.

use axum::response::Html;

const README: &str = include_str!("../README.md");

/// The style of the page. The text keeps its form as Markdown, and long lines wrap.
const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
    <meta name=\"color-scheme\" content=\"light dark\"><title>README</title>\
    <style>\
    body { max-width: 46rem; margin: 2rem auto; padding: 0 1.25rem; font: 1rem/1.55 system-ui, sans-serif; }\
    pre { white-space: pre-wrap; overflow-wrap: anywhere; font: .8125rem/1.55 ui-monospace, monospace; }\
    h2:target { text-decoration: underline 3px; text-underline-offset: .25em; }\
    </style></head><body><p><a href=\"/\">Back to the demo</a></p>";

pub(crate) async fn page() -> Html<String> {
    Html(render(README))
}

/// Renders headings with the anchors that a forge gives them, and everything else as preformatted text.
fn render(markdown: &str) -> String {
    let mut page = HEAD.to_owned();
    let mut text = String::new();
    let mut is_code = false;
    for line in markdown.lines() {
        is_code ^= line.starts_with("```");
        let heading = line.split_once("# ").filter(|(marks, _)| !is_code && marks.bytes().all(|m| m == b'#'));
        match heading {
            Some((marks, title)) => {
                push_text(&mut page, &mut text);
                let level = marks.len() + 1;
                let (id, title) = (anchor(title), escape(title));
                page += &format!("<h{level} id=\"{id}\">{title}</h{level}>");
            }
            None => {
                text += line;
                text.push('\n');
            }
        }
    }
    push_text(&mut page, &mut text);
    page + "</body></html>"
}

fn push_text(page: &mut String, text: &mut String) {
    *page += &format!("<pre>{}</pre>", escape(text.trim_matches('\n')));
    text.clear();
}

/// Returns `first-steps-with-axum` for `First steps with axum`.
fn anchor(title: &str) -> String {
    let words = title.to_lowercase().replace(' ', "-");
    words.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-').collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
