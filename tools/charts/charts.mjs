// The part of ECharts that the report draws with: canvas only, and nothing that compiles code from text.
import { init, use, version } from "echarts/core";
import { BarChart, CustomChart, HeatmapChart, LineChart, ParallelChart, ScatterChart } from "echarts/charts";
import {
  DataZoomInsideComponent, GridComponent, LegendComponent, ParallelComponent, TooltipComponent,
  VisualMapContinuousComponent,
} from "echarts/components";
import { CanvasRenderer } from "echarts/renderers";

use([
  BarChart, CustomChart, HeatmapChart, LineChart, ParallelChart, ScatterChart,
  DataZoomInsideComponent, GridComponent, LegendComponent, ParallelComponent, TooltipComponent,
  VisualMapContinuousComponent, CanvasRenderer,
]);

export { init, version };
