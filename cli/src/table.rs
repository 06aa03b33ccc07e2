//! Columns of text.

/// Left-aligned columns two spaces apart, each line ending in a newline; empty cells show `-`.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let shown = |cell: &str| {
        if cell.is_empty() {
            "-".to_owned()
        } else {
            cell.to_owned()
        }
    };
    let mut lines = vec![header.map(str::to_owned)];
    lines.extend(
        rows.iter()
            .map(|row| row.each_ref().map(|cell| shown(cell))),
    );
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            ["a".to_owned(), String::new()],
            ["long".to_owned(), "x".to_owned()],
        ];
        assert_eq!(
            table(["N", "VALUE"], &rows),
            "N     VALUE\na     -\nlong  x\n"
        );
    }
}
