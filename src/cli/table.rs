//! Tables for eyes: columns aligned, nothing in a cell can move the cursor.

/// Rows under a heading; the last column is not padded.
pub(super) fn render(heading: &[&str], rows: &[Vec<String>]) -> String {
    let heading: Vec<String> = heading.iter().map(ToString::to_string).collect();
    let rows: Vec<Vec<String>> = std::iter::once(&heading).chain(rows).map(|row| clean_row(row)).collect();
    let widths: Vec<usize> = (0..heading.len()).map(|column| width(&rows, column)).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

/// Names and values below each other.
pub(super) fn pairs(pairs: &[(&str, String)]) -> String {
    let shown = pairs.iter().filter(|(_, value)| !value.is_empty());
    shown.map(|(name, value)| format!("{name:<14}{}\n", clean(value))).collect()
}

/// What a message brought along may hold control characters, which a terminal would obey.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '?' } else { it }).collect()
}

fn clean_row(row: &[String]) -> Vec<String> {
    row.iter().map(|cell| if cell.is_empty() { "-".into() } else { clean(cell) }).collect()
}

fn width(rows: &[Vec<String>], column: usize) -> usize {
    rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    format!("{}\n", cells.join("  ").trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_harmless() {
        let rows = [vec!["1".into(), "a\u{1b}[2J".into()], vec!["234".into(), String::new()]];
        assert_eq!(render(&["ID", "TEXT"], &rows), "ID   TEXT\n1    a?[2J\n234  -\n");
    }
}
