// Completions for bash, zsh and fish, made from the commands themselves.

import { schemes } from "../address.ts";
import { type CommandSpec, UsageError } from "./_command.ts";

const SHELLS: Record<string, (commands: readonly CommandSpec[]) => string> = {
  bash,
  zsh,
  fish,
};

/** The command that prints completions for all of `commands`. */
export function completionsCommand(
  commands: () => readonly CommandSpec[],
): CommandSpec {
  return {
    name: "completions",
    summary: "Print completions for a shell",
    positionals: ["<bash|zsh|fish>"],
    words: Object.keys(SHELLS),
    options: {},
    details: "They complete the command `sluice`, as `deno install` names it.",
    examples: [
      "source <(sluice completions bash)    # in ~/.bashrc",
      "source <(sluice completions zsh)     # in ~/.zshrc",
      "sluice completions fish > ~/.config/fish/completions/sluice.fish",
    ],
    // deno-lint-ignore require-await -- what it throws has to reject
    async run({ positionals: [shell], terminal }) {
      if (!Object.hasOwn(SHELLS, shell)) {
        throw new UsageError(
          `unknown shell ${JSON.stringify(shell)}: expected ` +
            Object.keys(SHELLS).join(", "),
        );
      }
      terminal.print(SHELLS[shell](commands()));
    },
  };
}

function optionWords({ options }: CommandSpec): string[] {
  return [...Object.keys(options).map((name) => `--${name}`), "--help"];
}

function bash(commands: readonly CommandSpec[]): string {
  const addresses = schemes().map((scheme) => `${scheme}:`).join(" ");
  const cases = commands.map((command) => {
    const choices = Object.entries(command.options)
      .filter(([, option]) => option.choices !== undefined)
      .map(([name, option]) =>
        `      --${name}${option.short ? `|-${option.short}` : ""}) ` +
        `words="${option.choices!.join(" ")}" ;;`
      );
    const words = [...optionWords(command), ...command.words ?? []].join(" ");
    const plain = command.positionals[0]?.includes("address")
      ? `${words} ${addresses}`
      : words;
    return [
      `    ${command.name}) case "$previous" in`,
      ...choices,
      `      *) words="${plain}" ;;`,
      `      esac ;;`,
    ].join("\n");
  });
  return `_sluice() {
  local words previous="\${COMP_WORDS[COMP_CWORD-1]}"
  # An address has colons, at which bash breaks words: put it together again.
  local word="\${COMP_LINE:0:COMP_POINT}"
  word="\${word##* }"
  if [ "$COMP_CWORD" -le 1 ]; then
    words="${commands.map(({ name }) => name).join(" ")} help --version"
  else
    case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    help) words="${commands.map(({ name }) => name).join(" ")}" ;;
    esac
  fi
  local colon="\${word%"\${word##*:}"}"
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [ -n "$colon" ] && COMPREPLY=("\${COMPREPLY[@]#"$colon"}")
  [[ "\${COMPREPLY[0]}" == *: ]] && compopt -o nospace
}
complete -o default -F _sluice sluice`;
}

/** Works when it is sourced, and as a file `_sluice` in a folder of `fpath`. */
function zsh(commands: readonly CommandSpec[]): string {
  const list = (words: readonly string[]) => words.map(zshQuote).join(" ");
  const paths = "unix|shm|fifo";
  const cases = commands.map((command) => {
    const options = Object.entries(command.options);
    const values = options.filter(([, { type }]) => type === "string").map(
      ([name, { short, choices, value }]) => {
        const pattern = `--${name}${short ? `|-${short}` : ""}`;
        const what = choices !== undefined
          ? `compadd -- ${list(choices)}`
          : value === "FILE"
          ? "_files"
          : `_message ${zshQuote(value ?? name)}`;
        return `      ${pattern}) ${what}; return ;;`;
      },
    );
    const flags = [...options, ["help", { help: "this help" }] as const].map(
      ([name, { help }]) => `--${name}:${help.replaceAll(":", "\\:")}`,
    );
    return [
      `    ${command.name})`,
      ...values.length === 0
        ? []
        : [`      case $previous in`, ...values, `      esac`],
      `      flags=(${list(flags)})`,
      ...command.words === undefined
        ? []
        : [`      compadd -- ${list(command.words)}`],
      ...command.positionals[0]?.includes("address")
        ? [`      compadd -S "" -- $schemes`]
        : [],
      `      ;;`,
    ].join("\n");
  });
  const names = commands.map(({ name, summary }) => `${name}:${summary}`);
  return `#compdef sluice
_sluice() {
  local previous=\${words[CURRENT-1]}
  local -a flags names schemes
  names=(${list(names)})
  schemes=(${list(schemes().map((scheme) => `${scheme}:`))})
  if (( CURRENT == 2 )); then
    _describe command names
    return
  fi
  if [[ $PREFIX == (${paths}):* ]]; then
    compset -P '*:'
    _files
    return
  fi
  case \${words[2]} in
${cases.join("\n")}
    help) _describe command names; return ;;
  esac
  [[ $PREFIX == -* ]] && _describe -o option flags
}
if [[ \${funcstack[1]} == _sluice ]]; then
  _sluice "$@"
else
  (( \${+functions[compdef]} )) || { autoload -Uz compinit && compinit; }
  compdef _sluice sluice
fi`;
}

function zshQuote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

function fish(commands: readonly CommandSpec[]): string {
  const addresses = schemes().map((scheme) => `${scheme}:`).join(" ");
  const lines = commands.flatMap((command) => {
    const { name, summary, options, words = [] } = command;
    const here = `-n "__fish_seen_subcommand_from ${name}"`;
    return [
      `complete -c sluice -n __fish_use_subcommand -xa ${name} -d "${summary}"`,
      ...words.map((word) => `complete -c sluice ${here} -xa ${word}`),
      ...command.positionals[0]?.includes("address")
        ? [`complete -c sluice ${here} -a "${addresses}"`]
        : [],
      ...Object.entries(options).map(([long, option]) =>
        `complete -c sluice ${here} -l ${long}` +
        (option.short === undefined ? "" : ` -s ${option.short}`) +
        (option.type === "boolean"
          ? ""
          : option.choices === undefined
          ? " -r"
          : ` -xa "${option.choices.join(" ")}"`) +
        ` -d "${option.help}"`
      ),
    ];
  });
  return lines.join("\n");
}
