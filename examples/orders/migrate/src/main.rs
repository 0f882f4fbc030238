//! Brings the database up to date: applies the files of `migrations/` in the
//! order of their names, each once and in a transaction.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use postgres::{Client, NoTls};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    let folder = env::var("MIGRATIONS").unwrap_or_else(|_| "migrations".to_owned());
    let mut database = Client::connect(&url, NoTls)?;
    let files = migrations(Path::new(&folder)).map_err(|error| format!("{folder}: {error}"))?;
    let mut applied = 0;
    for file in &files {
        applied += u32::from(apply(&mut database, file)?);
    }
    println!("{applied} of {} migrations applied", files.len());
    Ok(())
}

/// Returns the SQL files of a folder, sorted by name.
fn migrations(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Applies one file, and records its name in the same transaction. Returns
/// false if it was applied before.
fn apply(database: &mut Client, file: &Path) -> Result<bool, Box<dyn Error>> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let sql = fs::read_to_string(file)?;
    let mut transaction = database.transaction()?;
    transaction.batch_execute(
        "CREATE TABLE IF NOT EXISTS migrations (
             name text PRIMARY KEY,
             applied_at timestamptz NOT NULL DEFAULT now()
         );
         LOCK TABLE migrations IN EXCLUSIVE MODE",
    )?;
    let recorded = transaction.execute(
        "INSERT INTO migrations (name) VALUES ($1) ON CONFLICT DO NOTHING",
        &[&name],
    )?;
    if recorded == 0 {
        return Ok(false);
    }
    let outcome = transaction.batch_execute(&sql);
    outcome.map_err(|error| format!("{}: {error}", file.display()))?;
    transaction.commit()?;
    println!("applied {name}");
    Ok(true)
}
