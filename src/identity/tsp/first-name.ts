// By itself, so that whoever reads a command line does not load what makes keys.

/** What an identity is called that nobody asked for. */
export const FIRST_TSP_NAME = 'tsp'
