/** Does `body` for each item, so many at once. After an error no further one is begun. */
export async function forEach<T>(
  items: readonly T[],
  atOnce: number,
  body: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const work = async () => {
    for (let i = next++; i < items.length; i = next++)
      await body(items[i] as T, i).catch((error: unknown) => {
        next = items.length;
        throw error;
      });
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, work));
}
