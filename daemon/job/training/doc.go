// Package training is the job kind ml_training.
package training
