// From a job's files to what the viewer shows. Blob URLs live as long as the page of the job.

import { blob } from "./api.js";
import { outline } from "./contour.js";

const PICTURES = [
  ["original", "Original"],
  ["adversarial", "Adversarial"],
  ["perturbation", "Perturbation, amplified"],
  ["mask_clean", "Mask, clean"],
  ["mask_adversarial", "Mask, adversarial"],
  ["reference", "Mask, reference"],
];

const MASKS = [
  ["reference", "reference", "reference"],
  ["clean", "clean", "mask_clean"],
  ["adversarial", "adversarial", "mask_adversarial"],
];

/**
 * Fetches the pictures of a job that succeeded.
 * @param {object} job
 * @param {AbortSignal} signal ends it early
 * @returns {Promise<{pictures: object[], masks: object[], release: () => void}>} `release` gives the memory back
 */
export async function loadPictures(job, signal) {
  const found = await Promise.all(
    PICTURES.map(async ([name, label]) => {
      const file = job.artifacts.find(
        (one) => one.name.startsWith(`${name}.`) && one.content_type.startsWith("image/"),
      );
      return file && { name, label, content: await blob(file.href, signal) };
    }),
  );
  const files = found.filter(Boolean);
  const masks = await Promise.all(
    MASKS.map(async ([name, label, picture]) => {
      const file = files.find((one) => one.name === picture);
      return file && { name, label, ...outline(await createImageBitmap(file.content)) };
    }),
  );
  const pictures = files.map(({ name, label, content }) => ({ name, label, url: URL.createObjectURL(content) }));
  const release = () => pictures.forEach(({ url }) => URL.revokeObjectURL(url));
  return { pictures, masks: masks.filter(Boolean), release };
}
