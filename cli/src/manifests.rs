//! YAML files as documents, each knowing where it came from.
//!
//! Not here: what the documents say (`check`).

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize as _;
use serde_json::Value;

/// One object of a file, or why it could not be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    /// `pool.yaml` or `pool.yaml, document 2`.
    pub(crate) origin: String,
    pub(crate) content: Result<Value, String>,
}

/// Reads files, directories (their *.yaml, *.yml and *.json files) and `-`.
///
/// # Errors
/// A path that cannot be read.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for path in paths {
        for file in files(path)? {
            let text = if file.as_os_str() == "-" {
                let mut text = String::new();
                std::io::stdin()
                    .read_to_string(&mut text)
                    .context("standard input")?;
                text
            } else {
                std::fs::read_to_string(&file).with_context(|| file.display().to_string())?
            };
            documents.extend(parse(&file.display().to_string(), &text));
        }
    }
    Ok(documents)
}

fn files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| path.display().to_string())?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.with_context(|| path.display().to_string())?.path();
        let extension = file.extension().and_then(|extension| extension.to_str());
        if file.is_file() && matches!(extension, Some("yaml" | "yml" | "json")) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// The objects of one file; the items of a List stand for themselves, empty documents for nothing.
pub(crate) fn parse(file: &str, text: &str) -> Vec<Document> {
    let mut contents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let content = Value::deserialize(document)
            .map_err(|error| format!("{error}; the file is not read any further"));
        let failed = content.is_err();
        contents.push(content);
        if failed {
            // After a syntax error the parser yields the same error for ever.
            break;
        }
    }
    let several = contents.len() > 1;
    let mut documents = Vec::new();
    for (i, content) in contents.into_iter().enumerate() {
        let origin = if several {
            format!("{file}, document {}", i + 1)
        } else {
            file.to_owned()
        };
        match content {
            Ok(Value::Null) => {}
            Ok(value) => match items(&value) {
                Some(items) => documents.extend(items.iter().map(|item| Document {
                    origin: origin.clone(),
                    content: Ok(item.clone()),
                })),
                None => documents.push(Document {
                    origin,
                    content: Ok(value),
                }),
            },
            Err(error) => documents.push(Document {
                origin,
                content: Err(error),
            }),
        }
    }
    documents
}

fn items(value: &Value) -> Option<&Vec<Value>> {
    let is_list = value.get("kind")?.as_str()?.ends_with("List");
    value.get("items")?.as_array().filter(|_| is_list)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn documents_of_one_file_are_numbered_and_empty_ones_are_nothing() {
        let documents = parse("a.yaml", "---\na: 1\n---\n---\nb: 2\n");
        let told: Vec<_> = documents
            .iter()
            .map(|d| (d.origin.as_str(), d.content.clone().unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                ("a.yaml, document 1", json!({"a": 1})),
                ("a.yaml, document 3", json!({"b": 2}))
            ]
        );
    }

    #[test]
    fn the_items_of_a_list_stand_for_themselves() {
        let documents = parse("a.yaml", "kind: List\nitems: [{a: 1}, {a: 2}]");
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[1].content, Ok(json!({"a": 2})));
    }

    #[test]
    fn a_syntax_error_is_a_document_with_a_sentence() {
        let documents = parse("a.yaml", "a: [1\nb: }");
        assert_eq!(documents.len(), 1);
        assert!(documents[0].content.is_err());
    }
}
