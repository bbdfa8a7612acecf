// Package training is the job kind ml_training: it trains a classifier on texts or on a table, or on samples that it makes, and
// ends with the same model whatever dies on the way. With a command it watches over a program that trains.
//
// # Course
//
// A data set is read twice: the first pass counts, finds the labels and which columns are figures, and meets every malformed
// record; the second makes a vector of each record, which stay in memory. Of each class the seed draws a part for validation, one
// for the test, and the rest to learn from. What is learnt of the data itself (weights of words, means) comes from that rest alone.
//
// A text is counted by words and pairs of words, hashed to 65,536 places, weighed by how rare they are, and made of length 1. A
// figure gets mean 0 and variance 1; a category a place by its hash; what is missing one of its own. Without a data set the samples
// are those of makeData: three classes of two clouds each, and one label in twenty wrong.
//
// The network has dense layers with rectifiers between them; it learns by Adam from the cross-entropy. After each epoch weights and
// optimizer go to a file in the task's folder, synced, and then the task's checkpoint names it; the last two stay, and the best
// where early stopping goes back to it. The next attempt reads the data set anew, refuses one that has changed, and goes on after
// that epoch. The order of the samples follows from the seed and the epoch, and no sum depends on the cores: the model of a
// training that was cut is, byte for byte, that of one that was not (on the same kind of processor).
//
// The model is one file in the format safetensors: the weights, and in its metadata the labels and how a record becomes a vector.
// metrics.csv has a line for each epoch. Loss and accuracy that are reported are those of the validation part, where there is one.
//
// # Design
//
// GoMLX with its backend in pure Go: its graphs, its Adam. Rejected: bindings to other libraries, which need cgo and a library of
// hundreds of megabytes; an own network, which would be one more to trust. Of its automatic gradient we do without, because it
// multiplies matrices by way of a cube: see backward. Its checkpoints are a folder of two files that are not synced; hence ours.
//
// The first layer works on the places that a batch has, gathered: a dense vector of 65,536 numbers for each record would be mostly
// zeros, and a product over single entries (gather and scatter of each) takes a microsecond for each in that backend.
//
// The kind is a job.Survivor for the sake of programs. What trains in the daemon ends with it: its attempt, when a later daemon
// adopts it, ends interrupted, and the next goes on. Rejected: going on in the same attempt, since a training that takes the
// daemon down would never count as a crash loop; a process of its own for each training, which costs a second copy of the library
// in memory and gains that a stop of the daemon does not lose the epoch under way.
package training
