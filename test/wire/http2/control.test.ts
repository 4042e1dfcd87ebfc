import { testCases } from '../../support/h2/conformance-server.js';
import { control } from './cases/control.js';

testCases(control);
