package mcpserver

// Epilogue is the log line of a task that has ended.
var Epilogue = epilogue
