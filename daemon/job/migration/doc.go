// Package migration is the job kind data_migration: records from CSV, TSV, JSON Lines and SQLite files
// to any of these, exactly once whatever dies on the way, and verified by reading them back.
package migration
