package daemon_test

// shortTemp is the system's own: a pipe's name does not grow with it.
const shortTemp = ""
