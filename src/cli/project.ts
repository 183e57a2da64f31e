/** The operator's project, as every process of a gate sees it. */
export interface Project {
  readonly folder: string
  /** `undefined`: the default pipeline. */
  readonly file: string | undefined
  /** Of the `.env` file, for what the pipeline file reads itself. */
  readonly variables: Readonly<Record<string, string>>
  /** Of the console's pages; `undefined`: where the build puts them. */
  readonly consoleFolder?: string
}
