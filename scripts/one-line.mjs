// Runs a program, and prints an error that ends it as one line: it is for those who use the program. A fault of the code
// keeps its stack, as every error does where the program is run without this.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

process.argv.splice(1, 1);
process.argv[1] = resolve(process.argv[1]);
try {
  await import(pathToFileURL(process.argv[1]).href);
} catch (error) {
  const ofCode = [TypeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind);
  console.error(error instanceof Error && !ofCode ? error.message : error);
  process.exit(1);
}
