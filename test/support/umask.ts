/** Files that suites write must be those of their owner alone, whatever the machine's own habit is. */
process.umask(0o022)
