// Package batch is the job kind batch_processing: it gives the items of an input to a command, in batches, and keeps what
// became of each of them.
//
// Items are the lines of a file, the values of a JSON Lines file, the rows of a CSV file (each an object by the header), the
// files of a pattern (as the first attempt found them), or numbers. An input is read by offset; neither items nor outputs are
// held in memory, but for those of the batches under way. Without a command the batches are only paced: the tutorial's
// behaviour.
//
// # A batch for a command
//
// No shell reads the command. {items}, an argument by itself, becomes one argument per item; {item}, which needs batch_size 1,
// may stand inside of an argument; {file} is the path of a file with the batch, {index} the number of the batch, from 1. Where
// none of {item}, {items} and {file} is there, the batch comes on stdin, one item a line: as text, or as JSON for records.
// Another word between braces is refused; doubled braces stand for themselves. A text with a line break in it stays JSON,
// in its quotes, where lines are wanted.
//
// The command has the environment that the kind command would give it, DURABLE_BATCH (the number) and DURABLE_BATCH_TASK.
// An exit status of 0 is a success. What it leaves behind in its process group is killed when it ends.
//
// # What is kept
//
// output.jsonl has one line per batch, in order: batch, item or items, ok, exit, error, stdout (its beginning, stdout_cut counts
// the bytes that were dropped; stdout_base64 where it is not UTF-8), stderr (its end, of failed ones), seconds, attempts (with
// retries), rerun. failed.jsonl has the items of failed batches, one a line as JSON, and can be the input of a later task.
// Both grow while the task runs. With on_error=stop the batch that stopped the task is their last line; a retry begins with it.
// A task of which every batch has failed fails; one of which some have completes, and its result says success: false.
//
// # After a crash
//
// A batch whose end was recorded is never run again. One that was under way is run again and marked "rerun": batches are
// at-least-once. The beginning and the end of each are lines of a journal; before the next batch begins they are durable, in
// one sync that batches which end together share. Lines move in order from the journal to the output, which is synced with a
// checkpoint now and then; the checkpoint has the length of both outputs and the place in the input. A resume cuts the outputs to
// these lengths, takes the journal up to its last whole line, and goes on. The journal begins a new segment when it has become
// long; what still counts is carried over. An input that has changed meanwhile is refused.
//
// Commands are children of the daemon. On Linux they die with it, as they are all started from one thread and asked the
// kernel for that signal; what they have started in turn is found by its environment and killed before a resume runs anything.
// On macOS and Windows neither is possible: after a SIGKILL of the daemon a command that runs ends by itself (its stdout is
// closed), possibly beside its rerun.
//
// # Design
//
// Rejected: a holder (package shim) for each batch, which would outlive the daemon and costs more than a short command does;
// a transaction of the store for each batch, which is a lock and two syncs of a file that all tasks share; writing output.jsonl
// as batches end, which is either out of order or waits for the slowest without being durable.
//
// A batch may be at most 64 batches per parallel run ahead of the first that has not ended: this bounds the journal and what is
// known of it in memory.
package batch
