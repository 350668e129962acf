import type { SystemFiles } from './system-files.ts';

export interface TemperatureReading {
  /** Of the hottest sensor. */
  readonly temperatureCelsius?: number;
  readonly temperatureSensor?: string;
}

/** Sensors that are not connected show impossible values. */
const [coldest, hottest] = [-40, 150];

/** Thermal zones and hardware monitors; the hottest of them counts. */
export async function readTemperature(files: SystemFiles): Promise<TemperatureReading> {
  const readings = [...(await zones(files)), ...(await monitors(files))].filter(
    ({ celsius }) => celsius > coldest && celsius < hottest,
  );
  const top = readings.toSorted((a, b) => b.celsius - a.celsius)[0];
  return top ? { temperatureCelsius: top.celsius, temperatureSensor: top.name } : {};
}

interface Sensor {
  readonly name: string;
  readonly celsius: number;
}

async function zones(files: SystemFiles): Promise<Sensor[]> {
  const names = (await files.list('/sys/class/thermal')).filter((name) => name.startsWith('thermal_zone'));
  return Promise.all(
    names.map(async (name) => ({
      name: (await files.read(`/sys/class/thermal/${name}/type`)) ?? name,
      celsius: milli(await files.read(`/sys/class/thermal/${name}/temp`)),
    })),
  );
}

async function monitors(files: SystemFiles): Promise<Sensor[]> {
  const sensors: Sensor[] = [];
  for (const monitor of await files.list('/sys/class/hwmon')) {
    const folder = `/sys/class/hwmon/${monitor}`;
    const inputs = (await files.list(folder)).filter((name) => /^temp\d+_input$/.test(name));
    const chip = inputs.length > 0 ? ((await files.read(`${folder}/name`)) ?? monitor) : monitor;
    for (const input of inputs) {
      const label = await files.read(`${folder}/${input.replace('_input', '_label')}`);
      sensors.push({
        name: label ? `${chip} ${label}` : chip,
        celsius: milli(await files.read(`${folder}/${input}`)),
      });
    }
  }
  return sensors;
}

function milli(text: string | undefined): number {
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) / 1000 : Number.NaN;
}
