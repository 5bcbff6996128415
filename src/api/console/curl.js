// The same attack as a shell command.

/**
 * The command that submits this job again, with the input files in the current folder.
 * @param {object} job
 * @param {Object<string, string>} names of the files as they were chosen; a plain name stands in for one not known
 * @param {boolean} withKey whether the service wants a key; the command reads it from `SEGPROBE_KEY`
 * @returns {string}
 */
export function curl(job, names, withKey) {
  const parts = Object.keys(job.inputs).filter((part) => job.inputs[part]);
  const lines = [
    `curl -sS ${quote(`${location.origin}/attacks`)}`,
    ...(withKey ? ['-H "Authorization: Bearer $SEGPROBE_KEY"'] : []),
    ...parts.map((part) => `-F ${quote(`${part}=@"${names[part] ?? `${part}.${extension(job.inputs[part])}`}"`)}`),
    // A form string, since curl gives a meaning to ";" and "@" in plain fields.
    `--form-string ${quote(`spec=${JSON.stringify(given(job.spec))}`)}`,
  ];
  return lines.join(" \\\n  ");
}

function extension({ format }) {
  return { jpeg: "jpg", tiff: "tif", dicom: "dcm" }[format] ?? format;
}

/** Without the fields that have no value: the service takes them as left out. */
function given(value) {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, part]) => part !== null)
      .map(([name, part]) => [name, given(part)]),
  );
}

/** For a POSIX shell. */
function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
