//! Tables in Markdown.

/// Prints a table with a heading.
pub(crate) fn print(heading: &str, columns: &[&str], rows: &[Vec<String>]) {
    println!("\n{heading}\n");
    println!("| {} |", columns.join(" | "));
    println!("|---|{}", "---:|".repeat(columns.len() - 1));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
}

/// Returns the median.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Returns a percentile.
pub(crate) fn percentile(figures: &[u64], hundredths: usize) -> Option<u64> {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable();
    sorted.get((sorted.len() * hundredths / 100).min(sorted.len().checked_sub(1)?)).copied()
}

/// Formats a figure, or a dash if there is none.
pub(crate) fn figure(figure: Option<f64>, decimals: usize) -> String {
    figure.map_or("–".to_owned(), |figure| format!("{figure:.decimals$}"))
}

/// Formats the median with the lowest and the highest figure.
pub(crate) fn spread(figures: &[f64]) -> String {
    let low = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let high = figures.iter().copied().fold(0.0, f64::max);
    median(figures).map_or("–".to_owned(), |median| format!("{median:.2} ({low:.2}..{high:.2})"))
}
