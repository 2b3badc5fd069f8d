/** What the shell hears. */
export const EXIT_FINDINGS = 1
export const EXIT_USAGE = 2
export const EXIT_COULD_NOT = 3

export const EXIT_HELP = `
Exit codes: 0 fine, 1 findings, 2 usage, 3 could not.`
